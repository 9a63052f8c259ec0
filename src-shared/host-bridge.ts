/**
 * What the preload script of the desktop's main window puts into the page as `window.extrachainHost`. In a browser there
 * is none, and the page reaches the node over the loopback socket.
 */
export interface HostBridge {
  /**
   * Asks for a port to the node. It comes as a `message` event of the window whose `source` is the window itself, whose
   * `data` is `hostPortMessage`, and whose one port speaks the contract. To be called again when the port has closed.
   */
  connect(): void;
  /** The absolute path of a `File` that was dropped on the page; '' when it lies nowhere on this computer. */
  pathOf(file: object): string;
}

export const hostPortMessage = 'extrachain:port';
