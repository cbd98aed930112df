import { hkdfSync, timingSafeEqual } from "node:crypto";
import { createSecureContext, type SecureContextOptions, type TLSSocket } from "node:tls";

/**
 * Peers speak TLS 1.3 with a pre-shared key (RFC 8446, section 2.2): whoever does not know the secret gets no further
 * than the handshake, on either side, and nothing that was recorded can be played again. Decision 0011.
 */
const identity = "larder-peer-1";
/** The one suite of TLS 1.3 whose hash fits keys that come without one. */
const suite = { minVersion: "TLSv1.3", maxVersion: "TLSv1.3", ciphers: "TLS_AES_128_GCM_SHA256" } as const;

/** Every peer has the same secret. Shorter ones could be guessed from a recorded handshake. */
export const secretCharactersMin = 32;

interface ServerKey extends SecureContextOptions {
  pskCallback(socket: TLSSocket, identity: string): Buffer | null;
}

export function serverKey(secret: string): ServerKey {
  const psk = keyOf(secret);
  return { ...suite, pskCallback: (_socket, who) => (isIdentity(who) ? psk : null) };
}

export function clientKey(secret: string) {
  const psk = keyOf(secret);
  // One context for all connections: to make one takes longer than a handshake.
  const secureContext = createSecureContext(suite);
  // There is no certificate whose name could be checked: the key is the proof.
  return { secureContext, pskCallback: () => ({ psk, identity }), checkServerIdentity: () => undefined };
}

function keyOf(secret: string): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, "", identity, 32));
}

function isIdentity(who: string): boolean {
  return who.length === identity.length && timingSafeEqual(Buffer.from(who), Buffer.from(identity));
}
