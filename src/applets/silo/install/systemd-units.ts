/** The units of the daemon: systemd listens, and starts it with the first client. Also in scripts/systemd. */

/** By file name. @param binDir where the programs are */
export function systemdUnits(binDir: string): Record<string, string> {
  return {
    "nix-daemon.socket": `[Unit]
Description=Nix Daemon Socket
Before=multi-user.target
RequiresMountsFor=/nix/store
ConditionPathIsReadWrite=/nix/var/nix/daemon-socket

[Socket]
ListenStream=/nix/var/nix/daemon-socket/socket

[Install]
WantedBy=sockets.target
`,
    "nix-daemon.service": `[Unit]
Description=Nix Daemon (silo)
Documentation=man:silo(1)
RequiresMountsFor=/nix/store
RequiresMountsFor=/nix/var
ConditionPathIsReadWrite=/nix/var/nix/daemon-socket

[Service]
ExecStart=${binDir}/silo daemon
ExecReload=/bin/kill -HUP $MAINPID
KillMode=process
LimitNOFILE=1048576
TasksMax=1048576
Delegate=yes

[Install]
WantedBy=multi-user.target
`,
  };
}
