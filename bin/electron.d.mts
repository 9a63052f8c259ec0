export function findElectron(): string | null;
export function whyNoElectron(): string | null;
