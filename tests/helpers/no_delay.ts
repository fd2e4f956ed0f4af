/**
 * Which sockets were told to send small pieces at once (`TCP_NODELAY`): what
 * this process said to the operating system.
 *
 * @module
 */

/** Watches from when it is made until it is disposed of. */
export class NoDelayWatch implements Disposable {
  readonly #quick = new Set<string>();
  readonly #restore: () => void;

  private constructor(prototype: Deno.TcpConn) {
    const { setNoDelay } = prototype;
    const quick = this.#quick;
    prototype.setNoDelay = function (this: Deno.TcpConn, on = true) {
      setNoDelay.call(this, on);
      if (on) quick.add(endOf(this));
      else quick.delete(endOf(this));
    };
    this.#restore = () => {
      prototype.setNoDelay = setNoDelay;
    };
  }

  /** Begin to watch. */
  static async start(): Promise<NoDelayWatch> {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    using conn = await Deno.connect({ port: listener.addr.port });
    return new NoDelayWatch(Object.getPrototypeOf(conn));
  }

  /** Whether this end of a connection sends at once. */
  isQuick(conn: Pick<Deno.TcpConn, "localAddr" | "remoteAddr">): boolean {
    return this.#quick.has(endOf(conn));
  }

  /** Whether the other end does, if it belongs to this process. */
  isOtherEndQuick({ localAddr, remoteAddr }: Deno.TcpConn): boolean {
    return this.isQuick({ localAddr: remoteAddr, remoteAddr: localAddr });
  }

  [Symbol.dispose](): void {
    this.#restore();
  }
}

function endOf(
  { localAddr, remoteAddr }: Pick<Deno.TcpConn, "localAddr" | "remoteAddr">,
): string {
  return `${localAddr.port}-${remoteAddr.port}`;
}
