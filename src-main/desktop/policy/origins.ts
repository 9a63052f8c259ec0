/** The window's own page. A scheme of ours instead of `file:`, so that it has an origin and nothing else shares it. */
export const pageScheme = 'extrachain-app';
export const pageHost = 'window';
export const pageOrigin = `${pageScheme}://${pageHost}`;

/** Bytes of users, by capability URL: another origin, which reaches nothing. */
export const bytesScheme = 'extrachain-bytes';
const bytesHost = 'node';
export const bytesOrigin = `${bytesScheme}://${bytesHost}`;

/** Links that other programs hand to us. */
export const linkScheme = 'extrachain';

/** `URL.origin` is "null" for schemes a browser does not know, hence by hand. */
function isOf(text: string, scheme: string, host: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return (
    url.protocol === `${scheme}:` &&
    url.host === host &&
    url.username === '' &&
    url.password === '' &&
    url.port === ''
  );
}

/** True for an address (or an origin) of the window's page. */
export const isPageUrl = (text: string): boolean => isOf(text, pageScheme, pageHost);
/** True for an address of users' bytes. */
export const isBytesUrl = (text: string): boolean => isOf(text, bytesScheme, bytesHost);
