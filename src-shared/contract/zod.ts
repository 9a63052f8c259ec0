import { z } from 'zod';

// Before the first schema is built: zod would otherwise compile checks with `new Function`, which our CSP forbids.
z.config({ jitless: true });

export { z };
