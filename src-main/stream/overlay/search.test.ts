import { expect, it } from 'vitest';
import { createOverlay, step, viewOf, wakeAt } from './step.ts';
import type { Candidate, OverlayEvent } from './types.ts';

const [self, source, repeater] = ['me', 'source', 'repeater'];
const place: Candidate = {
  ...{ peer: repeater, addresses: [], depth: 1, free: 8, weakest: 0 },
  ...{ queueMs: 0, ageS: 60, branch: repeater, heardMs: 0 },
};

/** A viewer that knows one repeater, which answers at once while it is there. Parts come from it every 200 ms. */
function viewer() {
  const random = (): number => 0.5;
  let now = 0;
  let isThere = true;
  let seq = 0;
  let state = createOverlay({ self, source, ladder: [{ bitrate: 1e6 }], partMs: 200 }, now, random);

  function happens(event: OverlayEvent): void {
    const result = step(state, event, now, random);
    state = result.state;
    for (const effect of result.effects) {
      if (effect.type !== 'send' || effect.to !== repeater || !isThere) continue;
      const { message } = effect;
      const answer = (given: Extract<OverlayEvent, { type: 'message' }>['message']): void =>
        happens({ type: 'message', from: repeater, message: given });
      if (message.type === 'join') answer({ type: 'candidates', list: [place] });
      if (message.type === 'probe') answer({ type: 'probed', nonce: message.nonce, self: place });
      if (message.type === 'attach')
        answer({ type: 'accepted', from: seq, path: [source, repeater], edge: seq });
    }
  }

  return {
    happens,
    parent: () => viewOf(state).parent,
    be(there: boolean) {
      isThere = there;
    },
    pass(ms: number) {
      for (const end = now + ms; now < end;) {
        now = Math.min(end, Math.max(now + 1, wakeAt(state)), (Math.floor(now / 200) + 1) * 200);
        if (now % 200 === 0 && isThere && viewOf(state).parent === repeater) {
          const part = { rendition: 0, seq: (seq += 1), independent: true, bytes: 1000 };
          happens({ type: 'partBegins', from: repeater, part });
          happens({ type: 'part', from: repeater, part });
        }
        for (let i = 0; i < 8 && wakeAt(state) <= now; i++) happens({ type: 'wake' });
      }
    },
  };
}

it('takes a parent that failed before rather than none, once it answers again', () => {
  const one = viewer();
  one.happens({ type: 'join', contacts: [{ peer: repeater, addresses: [] }] });
  one.pass(2_000);
  expect(one.parent()).toBe(repeater);
  one.be(false);
  one.pass(4_000);
  expect(one.parent()).toBeNull();
  one.be(true);
  one.pass(3_000);
  expect(one.parent()).toBe(repeater);
});
