import type { NodeLink } from '../../rpc/node-link.ts';
import { sendFile } from '../../rpc/send-file.ts';
import type { BundleSource } from '../../stores/apps.ts';

export interface ChosenFile {
  readonly source: BundleSource;
  /** As the person knows it. */
  readonly name: string;
}

/** Whether a file says by its name that it is an app. */
export const isBundleName = (name: string): boolean => /\.exapp$/i.test(name);

/**
 * Brings a chosen file to where the node can read it: in the desktop it already is, from a browser it is sent.
 * @param onProgress bytes sent so far
 * @throws AppError `malformed` and `bad_hash` for what is no app, `cancelled`
 */
export async function bringFile(
  link: NodeLink,
  file: File,
  onProgress: (done: number) => void,
  signal: AbortSignal,
): Promise<ChosenFile> {
  const path = window.extrachainHost?.pathOf(file) ?? '';
  if (path !== '') return { source: { file: path }, name: file.name };
  const { received, url } = await link.call((client) => client.apps.receive({ size: file.size }));
  await sendFile({ url, file, from: 0, onProgress, signal });
  return { source: { received }, name: file.name };
}
