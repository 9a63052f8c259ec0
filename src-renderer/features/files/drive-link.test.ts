import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isOurLink, readDriveLink } from './drive-link.ts';

const id = 'bafyreigdrvq3zwpe2q6qqv3kkxmkz3pcbsbh5yw4u4rjv3m2nqiyqcx5ba';

test('reads the drive and the addresses of a link', () => {
  expect(
    readDriveLink(` extrachain://drive/${id}?at=%2Fip4%2F127.0.0.1%2Ftcp%2F4001%2Fp2p%2F12D3 \n`),
  ).toEqual({ kind: 'drive', driveId: id, addresses: ['/ip4/127.0.0.1/tcp/4001/p2p/12D3'] });
  expect(readDriveLink(`extrachain://drive/${id}`)).toEqual({ kind: 'drive', driveId: id, addresses: [] });
  expect(readDriveLink(`extrachain://invite/${id}#AAAA.BBBB`)?.kind).toBe('invite');
  expect(readDriveLink(`extrachain://open/${id}#public.BBBB`)?.kind).toBe('open');
});

test('takes nothing else for one', () => {
  for (const text of [
    '',
    id,
    `https://drive/${id}`,
    `extrachain://stream/${id}`,
    'extrachain://drive/',
    `extrachain://drive/${id}/more`,
    `extrachain://drive/<b>${id}`,
    `extrachain://drive/${id}?at=${'x'.repeat(9000)}`,
  ])
    expect(readDriveLink(text), text).toBeNull();
  expect(isOurLink(' ExtraChain://stream/x')).toBe(true);
  expect(isOurLink('https://example.org')).toBe(false);
});

test('survives whatever is pasted', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.webUrl(),
        fc.string().map((end) => `extrachain://drive/${end}`),
      ),
      (text) => {
        const found = readDriveLink(text);
        expect(found === null || /^[a-z2-7]+$/.test(found.driveId)).toBe(true);
      },
    ),
  );
});
