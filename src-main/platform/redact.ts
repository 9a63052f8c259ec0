/**
 * Takes out of a log what concerns nobody but its owner: names and places of files, addresses, ids and anything that could
 * be a key. What is left says what happened, where in the program, and with which code. Rather too much goes than too little.
 */
export function redact(text: string): string {
  return (
    text
      // Our own sources may stay: they are the same for everybody.
      .replace(/(?:file:\/\/)?\/[^\s"'()]*\/((?:src-main|src-shared|node_modules)\/[^\s"'()]*)/g, '~/$1')
      .replace(/“[^”]*”/g, '“…”')
      .replace(/"(path|file|folder|name|dir|drive|target|dest|address|addr)":"(?:[^"\\]|\\.)*"/g, '"$1":"…"')
      .replace(/\/(?:ip4|ip6|dns|dns4|dns6)\/[^\s"',)]+/g, '<address>')
      .replace(/\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b/g, '<address>')
      .replace(/'[^'\n]*[/\\][^'\n]*'/g, "'…'")
      .replace(/(^|[\s"'(=:])(?:file:\/\/)?(?:\/|[A-Za-z]:\\+)[^\s"'()]+/g, '$1<path>')
      .replace(/\bexc1[a-z0-9]{6,}\b/g, '<user>')
      .replace(/\b(?:12D3KooW|Qm|bafy)[A-Za-z0-9]{10,}\b/g, '<id>')
      .replace(/\b[A-Za-z0-9_-]{32,}={0,2}/g, '<id>')
  );
}
