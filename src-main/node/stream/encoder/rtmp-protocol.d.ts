/** What is used of node-media-server: the protocol alone, without its server. Its types are comments, and these are what they say. */
declare module 'node-media-server/src/protocol/rtmp.js' {
  export default class Rtmp {
    onConnectCallback: (request: { readonly app: string; readonly name: string }) => void;
    onPlayCallback: () => void;
    onPushCallback: () => void;
    onPacketCallback: (packet: {
      /** 8: sound, 9: pictures, 18: data. */
      readonly codec_type: number;
      /** ms */
      readonly dts: number;
      readonly size: number;
      /** Used again for the next message. */
      readonly data: Buffer;
    }) => void;
    onOutputCallback: (bytes: Buffer) => void;
    /** The message whose header was read last. */
    readonly parserPacket: { readonly header: { readonly length: number } };
    /** Takes memory for it. */
    packetAlloc: () => void;
    /** Says to an encoder that it may send. */
    respondPublish: () => void;
    /** Returns what is wrong, or null. May throw on nonsense. */
    parserData(bytes: Buffer): string | null;
  }
}
declare module 'node-media-server/src/protocol/sps_info.js' {
  export function parseH264Sps(sps: Buffer): { readonly width: number; readonly height: number } | null;
}
