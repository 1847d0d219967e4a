package discipline

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/clock/ntp"
)

// Query asks one server once; ntp.Client's Query is one.
type Query func(ctx context.Context, server string) (ntp.Reading, error)

// Runner gives a Discipline its seconds and its answers.
type Runner struct {
	// Kernel, Clock and Query: what is kept, what is waited by, who is asked.
	Kernel Kernel
	Clock  clock.Clock
	Query  Query
	Config Config

	status  atomic.Pointer[Status]
	servers chan []string
	once    sync.Once
}

// Status is as of the last second; nil before Run.
func (r *Runner) Status() *Status { return r.status.Load() }

// SetServers replaces the servers. It may be called before Run, and while it
// runs.
func (r *Runner) SetServers(names []string) {
	servers := r.queue()
	select {
	case <-servers: // what nobody has taken yet
	default:
	}
	servers <- names
}

func (r *Runner) queue() chan []string {
	r.once.Do(func() { r.servers = make(chan []string, 1) })
	return r.servers
}

type answer struct {
	server  string
	reading ntp.Reading
	err     error
}

// Run keeps the clock until the context ends, which is its error.
func (r *Runner) Run(ctx context.Context) error {
	d := New(r.Kernel, r.Config)
	defer d.Rest()
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	answers := make(chan answer)
	tick, _ := r.Kernel.Now()
	for {
		raw, _ := r.Kernel.Now()
		for _, server := range d.Due(raw) {
			asking.Go(func() {
				reading, err := r.Query(ctx, server)
				select {
				case answers <- answer{server, reading, err}:
				case <-ctx.Done():
				}
			})
		}
		if raw >= tick {
			d.Tick()
			tick = max(tick+int64(time.Second), raw)
		}
		s := d.Status()
		r.status.Store(&s)
		wait := max(min(tick, d.Next())-raw, int64(time.Millisecond))
		if err := r.next(ctx, d, wait, answers); err != nil {
			return err
		}
	}
}

// next waits for an answer, other servers, or for wait ns. The clock is asked
// anew each time, because this is what sets it.
func (r *Runner) next(ctx context.Context, d *Discipline, wait int64, answers <-chan answer) error {
	reached, stop := r.Clock.After(r.Clock.Now() + wait)
	defer stop()
	select {
	case <-reached:
	case a := <-answers:
		d.Answer(a.server, a.reading, a.err)
	case names := <-r.queue():
		raw, _ := r.Kernel.Now()
		d.SetServers(names, raw)
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
