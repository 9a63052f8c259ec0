/** Most bytes that travel inside JSON; what is larger goes by URL. */
export const maxInlineBytes = 256 * 1024;
