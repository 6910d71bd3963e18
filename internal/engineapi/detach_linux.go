package engineapi

import (
	"os/exec"
	"syscall"
)

// detach keeps the terminal's Ctrl-C from geth, which is stopped by its parent, and has
// the kernel kill geth should the parent be killed.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
