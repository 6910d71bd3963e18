//go:build !linux

package engineapi

import "os/exec"

// detach does nothing: how to keep signals from a child differs by system.
func detach(*exec.Cmd) {}
