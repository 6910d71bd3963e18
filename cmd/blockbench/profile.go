package main

import (
	"errors"
	"os"
	"runtime"
	"runtime/pprof"
)

// profilePaths are the files that the flags ask for; "": none.
type profilePaths struct{ cpu, mem, mutex, block string }

// profiles are the files.
type profiles struct {
	cpu *os.File // nil: none
	mem *os.File // nil: none

	waits map[string]*os.File // by the name of the profile
}

func newProfiles(paths profilePaths) (*profiles, error) {
	p := profiles{waits: make(map[string]*os.File)}
	var err error
	runtime.MemProfileRate = 0
	if paths.mem != "" {
		if p.mem, err = os.Create(paths.mem); err != nil {
			return nil, err
		}
		runtime.MemProfileRate = 4096
	}
	if paths.cpu != "" {
		if p.cpu, err = os.Create(paths.cpu); err != nil {
			return nil, err
		}
	}
	for name, path := range map[string]string{"mutex": paths.mutex, "block": paths.block} {
		if path != "" {
			if p.waits[name], err = os.Create(path); err != nil {
				return nil, err
			}
		}
	}
	return &p, nil
}

// measure profiles until the function that it returns is called. A CPU profile is of the
// first workload only: it cannot be resumed. Waiting is looked at only meanwhile, and not
// while the state is made.
func (p *profiles) measure() func() {
	if p.waits["mutex"] != nil {
		runtime.SetMutexProfileFraction(1)
	}
	if p.waits["block"] != nil {
		runtime.SetBlockProfileRate(1)
	}
	sampling := p.cpu != nil && pprof.StartCPUProfile(p.cpu) == nil
	return func() {
		runtime.SetMutexProfileFraction(0)
		runtime.SetBlockProfileRate(0)
		if sampling {
			pprof.StopCPUProfile()
		}
	}
}

// close finishes the files.
func (p *profiles) close() error {
	var err error
	if p.mem != nil {
		err = errors.Join(pprof.Lookup("allocs").WriteTo(p.mem, 0), p.mem.Close())
	}
	for name, file := range p.waits {
		err = errors.Join(err, pprof.Lookup(name).WriteTo(file, 0), file.Close())
	}
	if p.cpu != nil {
		err = errors.Join(err, p.cpu.Close())
	}
	return err
}
