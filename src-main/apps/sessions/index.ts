export { createSessions, sessionLifetime } from './sessions.ts';
export type { Carrier, Session, Sessions } from './sessions.ts';
export { parseSignIn, signInText } from './sign-in.ts';
export type { SignIn } from './sign-in.ts';
