/**
 * The beginning of a text file.
 * @param limit bytes
 * @returns `binary` when it is no text; `cut` when there is more of it
 */
export async function readText(
  url: string,
  limit: number,
): Promise<{ text: string; cut: boolean; binary: boolean }> {
  const response = await fetch(url, { headers: { range: `bytes=0-${limit - 1}` } });
  // An empty file has no first byte to give.
  if (response.status === 416) return { text: '', cut: false, binary: false };
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const whole = Number(response.headers.get('content-range')?.split('/')[1] ?? bytes.length);
  const binary = bytes.subarray(0, 8192).includes(0);
  return { text: new TextDecoder().decode(bytes), cut: whole > bytes.length, binary };
}
