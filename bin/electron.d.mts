export function findElectron(): string | null;
export function whyNoElectron(options?: { readonly fetch?: boolean }): string | null;
