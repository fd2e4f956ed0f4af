/**
 * The configuration of the DRBD tutorial as it is printed there, for tests.
 *
 * @module
 */

import type { ReadFiles } from "./parse.ts";

/** `/etc/drbd.conf` and the two files it includes. */
export const TUTORIAL_FILES: Readonly<Record<string, string>> = {
  "/etc/drbd.conf": `include "drbd.d/global_common.conf";
include "drbd.d/*.res";
`,
  "/etc/drbd.d/global_common.conf": `global {
    usage-count no;  #是否参加DRBD使用统计,默认为yes。官方统计drbd的装机量
    # minor-count dialog-refresh disable-ip-verification
}
common {
    protocol C;      #使用DRBD的同步协议
    handlers {
        pri-on-incon-degr "/usr/lib/drbd/notify-pri-on-incon-degr.sh; /usr/lib/drbd/notify-emergency-reboot.sh; echo b > /proc/sysrq-trigger ; reboot -f";
        pri-lost-after-sb "/usr/lib/drbd/notify-pri-lost-after-sb.sh; /usr/lib/drbd/notify-emergency-reboot.sh; echo b > /proc/sysrq-trigger ; reboot -f";
        local-io-error "/usr/lib/drbd/notify-io-error.sh; /usr/lib/drbd/notify-emergency-shutdown.sh; echo o > /proc/sysrq-trigger ; halt -f";
        # fence-peer "/usr/lib/drbd/crm-fence-peer.sh";
    }
    startup {
        # wfc-timeout degr-wfc-timeout outdated-wfc-timeout wait-after-sb
    }
    options {
        # cpu-mask on-no-data-accessible
    }
    disk {
        on-io-error detach; #配置I/O错误处理策略为分离
        # size max-bio-bvecs on-io-error fencing disk-barrier disk-flushes
    }
    net {

        # protocol timeout max-epoch-size max-buffers unplug-watermark
    }
    syncer {
        rate 1024M;    #设置主备节点同步时的网络速率
    }
}
`,
  "/etc/drbd.d/mysql.res": `resource mysql { #资源名称
protocol C; #使用协议
meta-disk internal;
device /dev/drbd1; #DRBD设备名称
syncer {
verify-alg sha1;# 加密算法
}
net {
allow-two-primaries;
}
on ha-node1 {
disk /dev/data/mysql; drbd1使用的磁盘分区为"mysql"
address 192.168.8.51:7789; #设置DRBD监听地址与端口
}
on ha-node2 {
disk /dev/data/mysql;
address 192.168.8.52:7789;
}
}
`,
};

/** A port that reads from a record of texts; patterns may have one `*`. */
export function filesFrom(files: Readonly<Record<string, string>>): ReadFiles {
  return (pattern, from) => {
    const folder = from?.replace(/[^/]*$/, "") ?? "";
    const path = pattern.startsWith("/") ? pattern : folder + pattern;
    const [before = "", after] = path.split("*");
    return Object.entries(files)
      .filter(([name]) =>
        after === undefined
          ? name === path
          : name.startsWith(before) && name.endsWith(after)
      )
      .sort(([a], [b]) => a < b ? -1 : 1)
      .map(([name, text]) => ({ path: name, text }));
  };
}
