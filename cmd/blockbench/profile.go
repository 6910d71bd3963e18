package main

import (
	"errors"
	"os"
	"runtime"
	"runtime/pprof"
)

// profiles are those that the flags ask for.
type profiles struct {
	cpu *os.File // nil: none
	mem *os.File // nil: none
}

func newProfiles(cpu, mem string) (*profiles, error) {
	var (
		p   profiles
		err error
	)
	if mem != "" {
		if p.mem, err = os.Create(mem); err != nil {
			return nil, err
		}
		runtime.MemProfileRate = 4096
	} else {
		runtime.MemProfileRate = 0
	}
	if cpu != "" {
		if p.cpu, err = os.Create(cpu); err != nil {
			return nil, err
		}
	}
	return &p, nil
}

// measure profiles until the function that it returns is called. A CPU profile is of the
// first workload only: it cannot be resumed.
func (p *profiles) measure() func() {
	if p.cpu == nil || pprof.StartCPUProfile(p.cpu) != nil {
		return func() {}
	}
	return pprof.StopCPUProfile
}

// close finishes the files.
func (p *profiles) close() error {
	var err error
	if p.mem != nil {
		err = errors.Join(pprof.Lookup("allocs").WriteTo(p.mem, 0), p.mem.Close())
	}
	if p.cpu != nil {
		err = errors.Join(err, p.cpu.Close())
	}
	return err
}
