import type { App, AppStream } from '../../../src-shared/sdk/index.ts';
import { h, whyOf } from '../common/dom.ts';
import { openTalk } from '../common/talk.ts';
import type { Recording } from './channel.ts';
import { begin, playLive } from './player.ts';
import { openTip } from './tip.ts';
import { say, words } from './words.ts';

/** What is played: a stream, or a recording of somebody's channel. */
export type Shown =
  | { readonly kind: 'stream'; readonly owner: string | null; readonly stream: AppStream }
  | { readonly kind: 'recording'; readonly owner: string; readonly recording: Recording };

export const idOf = (shown: Shown): string =>
  shown.kind === 'stream' ? shown.stream.streamId : shown.recording.id;

/** A picture with its talk beside it; `below` and `more` are filled by the caller. */
export interface Watching {
  readonly element: HTMLElement;
  readonly below: HTMLElement;
  readonly more: HTMLElement;
  /** Sends a tip to the owner and says so in the room. */
  tip(): Promise<void>;
  close(): void;
}

export function openWatching(
  app: App,
  shown: Shown,
  {
    self,
    name,
    titleOf,
    fail,
  }: {
    readonly self: string;
    readonly name: () => string;
    /** What a channel's owner goes by; '' for somebody without one. */
    readonly titleOf: (user: string) => string;
    readonly fail: (error: unknown) => void;
  },
): Watching {
  const title = shown.kind === 'stream' ? shown.stream.title : shown.recording.title;
  const video = h('video', { controls: true, playsinline: true, 'aria-label': title });
  const cover = h('p', { class: 'cover', role: 'status' });
  const screen = h('div', { class: 'screen' }, video, cover);
  const below = h('div', { class: 'below' });
  const more = h('div', { class: 'more' });
  const talk =
    shown.owner === null
      ? null
      : openTalk(app, {
          owner: shown.owner,
          room: `channels/${shown.kind}/${idOf(shown)}`.slice(0, 100),
          self,
          name,
          called: (user) => (user === shown.owner ? titleOf(user) : ''),
          words: words.talk,
        });
  const element = h(
    'div',
    { class: 'watch' },
    h('div', { class: 'stage' }, screen, below, more),
    talk?.element ?? null,
  );
  let closed = false;
  let stop = (): void => {};

  function tell(text: string, again: boolean): void {
    cover.hidden = text === '';
    cover.replaceChildren(
      text,
      ...(again ? [h('button', { class: 'button', onclick: () => void play() }, words.again)] : []),
    );
  }
  video.addEventListener('playing', () => tell('', false));

  async function play(): Promise<void> {
    stop();
    tell(shown.kind === 'stream' ? words.joining : words.opening, false);
    try {
      if (shown.kind === 'recording') {
        const { url } = await app.streams.recording({
          link: shown.recording.link,
          path: shown.recording.path,
        });
        if (closed) return;
        video.onerror = () => tell(words.unplayable, true);
        video.src = url;
        begin(video);
        return;
      }
      // Of one's own, and of those heard of, the id will do; the link also says where to ask.
      const { url } = await app.streams.watch(shown.stream.own ? shown.stream.streamId : shown.stream.link);
      if (closed) return;
      stop = playLive(video, url, {
        ended: () => tell(words.ended, false),
        failed: () => tell(words.unplayable, true),
      });
    } catch (error) {
      tell(whyOf(error), true);
    }
  }
  void play();

  return {
    element,
    below,
    more,
    async tip() {
      if (shown.owner === null) return;
      await openTip(app, {
        to: shown.owner,
        name: titleOf(shown.owner),
        memo: title,
        tipped: (tip) =>
          void talk?.post(say(words.tipSaid, { what: `${tip.amount} ${tip.symbol}` }), tip).catch(fail),
      });
    },
    close() {
      closed = true;
      stop();
      talk?.close();
      video.pause();
      if (shown.kind === 'stream' && !shown.stream.own)
        void app.streams.leave(shown.stream.streamId).catch(() => {});
    },
  };
}
