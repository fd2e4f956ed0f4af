/**
 * One side of a rendezvous, for tests: takes a connection as a volume does.
 *
 * @module
 */

import type { SharedSecret } from "@kedge/schema/wire/mirror";
import type { PeerConnection } from "./peer_connection.ts";
import { Rendezvous } from "./rendezvous.ts";

/** Which side. */
export interface SideOptions {
  readonly node: string;
  readonly resource?: string;
  readonly port: number;
  readonly peerPort: number;
  readonly secret?: SharedSecret;
  readonly greetingMs?: number;
}

/** See the module comment. */
export class Side implements Disposable {
  readonly rendezvous: Rendezvous;
  readonly log: string[] = [];
  readonly refusals: string[] = [];
  /** Reading waits for it. */
  room: Promise<void> | undefined;
  taken: PeerConnection | undefined;
  takenCount = 0;
  /** Why the connection that was taken ended. */
  ended: string | undefined;

  constructor(options: SideOptions) {
    this.rendezvous = new Rendezvous({
      resource: options.resource ?? "r0",
      node: options.node,
      // Both are the lower address, so that both dial at once.
      local: { hostname: "0.0.0.0", port: options.port },
      remote: { hostname: "127.0.0.1", port: options.peerPort },
      times: {
        greetingMs: options.greetingMs ?? 2_000,
        pingIntMs: 10_000,
        pingTimeoutMs: 2_000,
      },
      connectIntMs: 1_000,
      secret: options.secret,
      connected: (connection) => this.#take(connection),
      refused: (_volume, why) => {
        this.refusals.push(why);
        this.rendezvous.seek(0, false);
      },
      log: (_level, text) => this.log.push(text),
    });
  }

  [Symbol.dispose](): void {
    this.rendezvous.close();
    this.taken?.close("the test is over");
  }

  #take(connection: PeerConnection): boolean {
    if (this.taken !== undefined) return false;
    this.taken = connection;
    this.takenCount++;
    this.rendezvous.seek(0, false);
    connection.run({
      frame: () => {},
      batchEnd: () => this.room,
      pinged: () => {},
      ponged: () => {},
      drained: () => {},
    }).then(() => this.ended = connection.why);
    return true;
  }
}

/** Three ports that are free now; asked for one by one they may be the same. */
export function freePorts(): [number, number, number] {
  const local = { hostname: "127.0.0.1", port: 0 };
  using one = Deno.listen(local);
  using two = Deno.listen(local);
  using three = Deno.listen(local);
  return [one.addr.port, two.addr.port, three.addr.port];
}
