import { time } from '../../contract/common.ts';
import { z } from '../../contract/zod.ts';
import { shownText } from '../text.ts';
import { permissionName } from '../permissions.ts';
import { method, nothing, ok } from './frame.ts';

/** CAIP-2 chain id of ours, or `extrachain:app` for what needs no network. */
const scope = z.string().regex(/^extrachain:[-_a-zA-Z0-9]{1,80}$/);
const methodName = z.string().min(1).max(64);
const asked = z.record(
  scope,
  z.object({
    methods: z.array(methodName).max(128).default([]),
    notifications: z.array(methodName).max(16).default([]),
  }),
);

/** A session as CAIP-25 shapes it: what the app may call now, for whom, and until when. */
export const appSession = z.object({
  sessionId: z.string(),
  sessionScopes: z.record(
    scope,
    z.object({
      methods: z.array(z.string()),
      notifications: z.array(z.string()),
      /** CAIP-10. */
      accounts: z.array(z.string()),
    }),
  ),
  expiry: time,
  sessionProperties: z.object({
    appId: z.string(),
    name: z.string(),
    version: z.string(),
    /** Granted now. */
    permissions: z.array(permissionName),
  }),
});
export type AppSession = z.infer<typeof appSession>;

/** Sessions: CAIP-25 (create), 312 (get), 285 (revoke), 27 (invoke). */
export const sessionMethods = {
  /** Asks for what the methods need and prolongs the session. Refused (4001) when a required scope is not granted. */
  wallet_createSession: method(
    [],
    z.object({ requiredScopes: asked.default({}), optionalScopes: asked.default({}) }).default({
      requiredScopes: {},
      optionalScopes: {},
    }),
    appSession,
  ),
  wallet_getSession: method([], nothing, appSession),
  /** Ends this session; the page has to be opened anew. */
  wallet_revokeSession: method([], nothing, ok),
  wallet_invokeMethod: method(
    [],
    z.object({ scope, request: z.object({ method: methodName, params: z.unknown().optional() }) }),
    z.unknown(),
  ),
  /** Asks the person for permissions of the manifest; answers what is granted then. Nothing is shown for those granted already. */
  exc_requestPermissions: method(
    [],
    z.object({ permissions: z.array(permissionName).min(1).max(16) }),
    z.object({ permissions: z.array(permissionName) }),
  ),
  exc_unsubscribe: method([], z.object({ subscription: z.string().max(64) }), ok),
  /** Shows a notice of the system, in the app's name. */
  exc_notify: method(
    ['notifications'],
    z.object({ title: shownText(80).trim().min(1), body: shownText(300).default('') }),
    ok,
  ),
  /** Asks the person whether a link may be opened: one of ours in the main window, an https one in the browser. */
  exc_openLink: method([], z.object({ link: z.string().min(1).max(4096) }), ok),
};
