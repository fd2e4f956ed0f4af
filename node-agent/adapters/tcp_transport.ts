/**
 * Agents reach each other over TCP.
 *
 * `noDelay` is set on every connection: an acknowledgement of 52 bytes must not
 * wait for Nagle's algorithm. Nothing here judges whether a peer is alive; the
 * link does that on the monotonic clock.
 *
 * @module
 */

import type { PeerAddress } from "@kedge/schema";
import { isCallerGone } from "../callers.ts";
import type { ByteChannel, PeerListener, PeerTransport } from "../ports.ts";

/** A transport over `Deno.connect` and `Deno.listen`. */
export class TcpTransport implements PeerTransport {
  connect(address: PeerAddress, timeoutMs: number): Promise<ByteChannel> {
    return connect(address, timeoutMs);
  }

  listen(
    address: PeerAddress,
    onChannel: (channel: ByteChannel) => void,
  ): PeerListener {
    return listen(address, onChannel);
  }
}

async function connect(
  address: PeerAddress,
  timeoutMs: number,
): Promise<ByteChannel> {
  const connection = await Deno.connect({
    hostname: address.hostname,
    port: address.port,
    signal: AbortSignal.timeout(timeoutMs),
  });
  return tcpChannel(connection);
}

function listen(
  address: PeerAddress,
  onChannel: (channel: ByteChannel) => void,
): PeerListener {
  const listener = Deno.listen({
    hostname: address.hostname,
    port: address.port,
  });
  void acceptAll(listener, onChannel);
  return {
    address: { hostname: address.hostname, port: listener.addr.port },
    close: () => closeQuietly(listener),
  };
}

/** Accept until the listener is closed; a failed accept does not end it. */
async function acceptAll(
  listener: Deno.TcpListener,
  onChannel: (channel: ByteChannel) => void,
): Promise<void> {
  for (;;) {
    try {
      onChannel(tcpChannel(await listener.accept()));
    } catch (error) {
      if (
        error instanceof Deno.errors.BadResource ||
        error instanceof Deno.errors.Interrupted
      ) return;
      if (isCallerGone(error)) continue;
      // Out of descriptors: not our end.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function tcpChannel(connection: Deno.TcpConn): ByteChannel {
  const { hostname, port } = connection.remoteAddr;
  setNoDelay(connection);
  return {
    remote: `${hostname}:${port}`,
    read: (into) => connection.read(into),
    async write(bytes) {
      let rest = bytes;
      while (rest.length > 0) {
        rest = rest.subarray(await connection.write(rest));
      }
    },
    close: () => closeQuietly(connection),
  };
}

function setNoDelay(connection: Deno.TcpConn): void {
  try {
    connection.setNoDelay(true);
  } catch {
    // The other side has hung up already; the next read tells.
  }
}

function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // Closed before.
  }
}
