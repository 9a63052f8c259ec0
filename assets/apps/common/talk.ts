import type { App } from '../../../src-shared/sdk/index.ts';
import rooms from '../chat/rooms.json';
import { h, icon, shortId, whyOf } from './dom.ts';
import type { TalkWords } from './talk-words.ts';

/** What Chat's service answers for each message; `rooms.json` is its interface. */
interface Said {
  readonly id: string;
  readonly user: string;
  /** What they call themselves. */
  readonly name?: string;
  readonly text: string;
  readonly time: number;
  readonly tip?: Tip;
}

/** A payment that goes with what was said. Whoever says it may lie: it is shown as one once the ledger says the same. */
export interface Tip {
  readonly amount: string;
  readonly symbol: string;
  /** Hash of the transaction. */
  readonly tx: string;
}

/** A conversation beside something else: a stream, a note. */
export interface Talk {
  readonly element: HTMLElement;
  /** Says something in the person's name. @throws AppRequestError, or Error while there is no room */
  post(text: string, tip?: Tip): Promise<void>;
  close(): void;
}

/** Messages that are read when a room opens. */
const readAtOnce = 100;
/** How long one call of `watch` lasts, seconds; another one follows. The service takes up to 600. */
const watchFor = 240;
/** A room that is not there, or was lost, is looked for again after so long, ms. */
const lookEvery = 4000;
const longest = 2000;
/** A payment that the ledger does not have yet is looked for so often. */
const mostTries = 8;

/**
 * A room of the Chat app, in another app: found by the interface of Chat's service, whoever made the program that offers it.
 * @param options `owner`: whose Chat keeps the room, a user id; `room`: its name, up to 100 characters; `name`: what the person wants to be
 * called; `self`: their user id; `called`: a name that is known here for somebody, which goes before what they call themselves
 */
export function openTalk(
  app: App,
  {
    owner,
    room,
    name,
    self,
    called = () => '',
    words,
  }: {
    readonly owner: string;
    readonly room: string;
    readonly name: () => string;
    readonly self: string;
    readonly called?: (user: string) => string;
    readonly words: TalkWords;
  },
): Talk {
  const shown = new Map<string, Said>();
  const list = h('div', {
    class: 'talk-list',
    role: 'log',
    'aria-live': 'polite',
    tabindex: 0,
    'aria-label': words.title,
  });
  const problem = h('p', { class: 'problem talk-note', role: 'alert', hidden: true });
  const field = h('input', {
    'aria-label': words.write,
    placeholder: words.write,
    maxlength: longest,
    autocomplete: 'off',
    disabled: true,
  });
  const button = h(
    'button',
    { class: 'tool send', 'aria-label': words.send, title: words.send, disabled: true },
    icon('send'),
  );
  const form = h('form', { class: 'talk-say' }, field, button);
  const element = h(
    'section',
    { class: 'talk', 'aria-label': words.title },
    h('h2', {}, words.title),
    list,
    problem,
    form,
  );
  let closed = false;
  let service: string | null = null;
  let unwatch = (): void => {};
  let wake = (): void => {};
  let note: string = words.looking;

  const nameOf = ({ user, name: chosen }: Said): string =>
    called(user) || chosen || (user === self ? words.you : shortId(user));

  /** By transaction: whether it paid that, from whom says so to the owner of the room. */
  const paid = new Map<string, 'yes' | 'no' | 'asked'>();
  const tries = new Map<string, number>();
  async function look({ user, tip }: Said): Promise<void> {
    if (!tip || paid.has(tip.tx)) return;
    paid.set(tip.tx, 'asked');
    try {
      if (!(await app.has('tokens.read'))) return;
      const found = await app.wallet.payment(tip.tx);
      const before = tries.get(tip.tx) ?? 0;
      if (found === null && before < mostTries && !closed) {
        // The node may be a block behind.
        tries.set(tip.tx, before + 1);
        paid.delete(tip.tx);
        setTimeout(draw, lookEvery);
        return;
      }
      const { amount, symbol } = tip;
      const same =
        found?.from === user &&
        found.to === owner &&
        found.symbol === symbol &&
        Number(found.amount) === Number(amount);
      paid.set(tip.tx, same ? 'yes' : 'no');
      draw();
    } catch {
      // It may not be there yet: looked for again when the room is drawn for another reason.
      paid.delete(tip.tx);
    }
  }

  function tipped(one: Said, { amount, symbol, tx }: Tip): HTMLElement {
    const checked = paid.get(tx) === 'yes';
    return h(
      'div',
      { class: checked ? 'said tip checked' : 'said tip' },
      h('span', { class: 'sum-of-tip' }, `${amount} ${symbol}`),
      h(
        'span',
        {},
        h('b', { title: one.user }, nameOf(one)),
        ' · ',
        checked ? words.tipped : words.saysTipped,
      ),
      h(
        'button',
        {
          class: 'tool',
          title: words.showTip,
          'aria-label': words.showTip,
          onclick: () => void app.openLink(`extrachain://tx/${tx}`).catch(() => {}),
        },
        icon(checked ? 'check' : 'link'),
      ),
    );
  }

  function draw(): void {
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
    field.disabled = button.disabled = service === null;
    const said = [...shown.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    for (const one of said) void look(one);
    // One payment is one tip, however often somebody tells of it.
    const told = new Set<string>();
    const isTip = ({ tip }: Said): boolean => {
      if (!tip || paid.get(tip.tx) === 'no' || told.has(tip.tx)) return false;
      told.add(tip.tx);
      return true;
    };
    const rows = said.map((one) =>
      isTip(one)
        ? tipped(one, one.tip!)
        : h(
            'p',
            { class: one.user === self ? 'said own' : 'said' },
            h('b', { title: one.user }, nameOf(one)),
            ' ',
            one.text,
          ),
    );
    const hint = service === null ? note : rows.length === 0 ? words.nothing : '';
    list.replaceChildren(...rows, ...(hint === '' ? [] : [h('p', { class: 'quiet talk-note' }, hint)]));
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, ms);
    });
  const take = (said: readonly Said[]): void => {
    for (const one of said) shown.set(one.id, one);
    if (!closed) draw();
  };

  async function find(): Promise<string | null> {
    const hash = await app.services.hashOf(rooms);
    const found = await app.services.find({ interface: hash });
    // Rooms of somebody else would be other rooms: those who talk here have to meet in one place.
    return found.find((one) => one.owner === owner && one.price === null)?.service ?? null;
  }

  /** Follows the room until the call ends; what is said between two calls is read. */
  async function follow(from: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      app.services
        .stream(
          from,
          'watch',
          { room, seconds: watchFor },
          { item: (value) => take([value as Said]), done: () => resolve(), failed: reject },
          { timeout: watchFor + 60 },
        )
        .then(async (stop) => {
          unwatch = () => (stop(), resolve());
          if (closed) return unwatch();
          const { value } = await app.services.call(from, 'read', { room, limit: readAtOnce });
          service = from;
          take(value as readonly Said[]);
        })
        .catch(reject);
    });
  }

  async function run(): Promise<void> {
    while (!closed) {
      try {
        const found = await find();
        if (found === null) {
          service = null;
          note = words.closed;
        } else {
          await follow(found);
          continue;
        }
      } catch {
        // The room's host went away: it is looked for again, by whoever offers it then.
        service = null;
        note = words.closed;
      }
      unwatch();
      if (closed) return;
      draw();
      await pause(lookEvery);
    }
  }

  async function post(text: string, tip?: Tip): Promise<void> {
    if (service === null) throw new Error(words.closed);
    await app.services.call(service, 'post', {
      room,
      name: name().slice(0, 60),
      text: text.slice(0, longest),
      ...(tip && { tip }),
    });
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (text === '') return;
    field.value = '';
    problem.hidden = true;
    post(text).catch((error: unknown) => {
      field.value = text;
      problem.textContent = `${words.failed} ${whyOf(error)}`;
      problem.hidden = false;
    });
  });
  draw();
  void run();

  return {
    element,
    post,
    close() {
      closed = true;
      unwatch();
      wake();
    },
  };
}
