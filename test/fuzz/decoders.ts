/**
 * Every decoder of bytes that come from the network, a disk or another program, and the test that throws anything at it. A new
 * decoder gets its line here; a test checks that the files still fuzz.
 */
export const decoders: readonly { readonly decoder: string; readonly file: string }[] = [
  { decoder: 'history entries and records of the chain log', file: 'src-main/history/codec.test.ts' },
  { decoder: 'bodies of operations, deliveries in any order', file: 'src-main/drive/tree.test.ts' },
  { decoder: 'bodies of the access chain', file: 'src-main/drive/access/access.test.ts' },
  { decoder: 'entries of hostile members', file: 'src-main/drive/hostile.test.ts' },
  { decoder: 'proofs of a version', file: 'src-main/drive/proof.test.ts' },
  { decoder: 'sealed blocks', file: 'src-main/drive/content/block.test.ts' },
  { decoder: 'actor cards and device certificates', file: 'src-main/identity/card.test.ts' },
  { decoder: 'boxes', file: 'src-main/identity/ecies.test.ts' },
  { decoder: 'the keystore', file: 'src-main/identity/keystore.test.ts' },
  { decoder: 'messages of linking', file: 'src-main/identity/linking.test.ts' },
  { decoder: 'signatures and keys', file: 'src-main/identity/signature.test.ts' },
  { decoder: 'messages of the exchange, block frames', file: 'src-main/exchange/codecs.test.ts' },
  { decoder: 'messages of the bulk channel', file: 'src-main/exchange/bulk/bulk.test.ts' },
  { decoder: 'frames of every protocol', file: 'src-main/network/frame-parser.test.ts' },
  { decoder: 'messages of the network', file: 'src-main/network/messages.test.ts' },
  { decoder: 'conversations about links', file: 'src-main/node/sharing/messages.test.ts' },
  { decoder: 'frames of the contract', file: 'src-shared/rpc/frames.test.ts' },
  { decoder: 'requests for files by HTTP', file: 'src-main/api/downloads.test.ts' },
  { decoder: 'arguments of the command line', file: 'src-main/headless/cli/parse.test.ts' },
  {
    decoder: 'drive links, peer records, .exignore, the folder’s marker, settings, inputs of the contract',
    file: 'test/fuzz/decoders.test.ts',
  },
];
