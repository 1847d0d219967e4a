package metrics

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/run"
)

// Reporter gathers a program's hops, health and detail. Its methods may be
// called from any goroutine.
type Reporter struct {
	program, name string
	clock         clock.Clock
	started       int64
	registry      *prometheus.Registry
	labelled      prometheus.Registerer

	mu     sync.Mutex
	role   string
	room   string
	own    verdict
	hops   []*HopCounter
	leaves []*LeafState
	detail func() any
	family *run.Family // the process and its children, if they are reported
}

// New returns a reporter for a program, such as "capture", and the name of what
// it works for, such as "box1".
func New(program, name string) *Reporter { return NewAt(program, name, clock.System) }

// NewAt is New by another clock.
func NewAt(program, name string, c clock.Clock) *Reporter {
	r := &Reporter{
		program: program, name: name, clock: c, started: c.Now(),
		registry: prometheus.NewRegistry(), own: verdict{state: OK},
	}
	r.registry.MustRegister(
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(),
	)
	r.labelled = prometheus.WrapRegistererWith(prometheus.Labels{"program": program, "name": name}, r.registry)
	r.labelled.MustRegister(collector{r})
	return r
}

// Version is the program's, from its build information.
var Version = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" || strings.HasPrefix(v, "v0.0.0-00010101") { // built as a module that is replaced by a folder
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(len(s.Value), 12)]
			}
		}
		return "devel"
	}
	return v
})

// SetRole says what the program is in its room, "camera" or "slides".
func (r *Reporter) SetRole(role string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.role = role
}

// SetRoom says which room the program works for.
func (r *Reporter) SetRoom(room string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.room = room
}

// SetState sets the program's own state; what is shown is the worst of it, the
// hops' and the health's.
func (r *Reporter) SetState(state State, cause string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.own = verdict{state, cause}
}

// SetDetail sets what makes the status's detail, each time it is asked for. It
// must be safe to call from any goroutine.
func (r *Reporter) SetDetail(detail func() any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.detail = detail
}

// ReportChildren adds the use of child processes to the status.
func (r *Reporter) ReportChildren() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.family = &run.Family{PID: os.Getpid()}
}

// Register adds Prometheus collectors; they get the labels program and name. It
// is an error to register the same metric twice.
func (r *Reporter) Register(c ...prometheus.Collector) error {
	for _, c := range c {
		if err := r.labelled.Register(c); err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
	}
	return nil
}

// Hop returns the hop of that name, which is made when there is none: so that
// a part that is started again goes on with its counters. Direction is "in" or
// "out"; kind is tcp, udp, rtmp, hls, file, pipe or device.
func (r *Reporter) Hop(name, direction, kind, address string) *HopCounter {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.hops {
		if h.name == name && h.direction == direction {
			h.SetAddress(address)
			return h
		}
	}
	h := newHop(r.clock, name, direction, kind, address)
	r.hops = append(r.hops, h)
	return h
}

// RemoveHop forgets a hop that has ended for good.
func (r *Reporter) RemoveHop(h *HopCounter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hops = slices.DeleteFunc(r.hops, func(x *HopCounter) bool { return x == h })
}

// Leaf returns the health of that name, which is made in state starting when
// there is none.
func (r *Reporter) Leaf(name string) *LeafState {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.leaves {
		if l.name == name {
			return l
		}
	}
	l := newLeaf(r.clock, name)
	r.leaves = append(r.leaves, l)
	return l
}

func utc(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// Status is the program as it is now.
func (r *Reporter) Status() Status {
	r.mu.Lock()
	s := Status{
		Program: r.program, Name: r.name, Role: r.role, Room: r.room, Version: Version(),
		Started: utc(r.started), Now: utc(r.clock.Now()),
		State: r.own.state, Cause: r.own.cause,
	}
	hops, leaves := slices.Clone(r.hops), slices.Clone(r.leaves)
	detail, family := r.detail, r.family
	r.mu.Unlock()

	s.Hops, s.Health = make([]Hop, 0, len(hops)), make([]Leaf, 0, len(leaves))
	for _, h := range hops {
		x := h.Snapshot()
		s.Hops = append(s.Hops, x)
		s.worsen(x.State, x.Name, x.Cause)
	}
	for _, l := range leaves {
		x := l.Snapshot()
		s.Health = append(s.Health, x)
		s.worsen(x.State, x.Name, x.Cause)
	}
	s.Process = process(family)
	if detail != nil {
		s.Detail = detail()
	}
	return s
}

// worsen takes over a state that is worse; of equal ones the first stays.
func (s *Status) worsen(state State, name, cause string) {
	if state == Unknown {
		state = Degraded
	}
	if !state.Worse(s.State) {
		return
	}
	s.State, s.Cause = state, name
	if cause != "" {
		s.Cause += ": " + cause
	}
}

func process(family *run.Family) Process {
	p := Process{PID: os.Getpid()}
	if own, err := run.ProcessUsage(p.PID, false); err == nil {
		p.CPUSeconds, p.ResidentBytes = own.CPUSeconds, own.ResidentBytes
	}
	if family == nil {
		return p
	}
	if all, err := family.Usage(); err == nil {
		p.Children = all.Processes - 1
		p.ChildrenCPUSeconds = max(all.CPUSeconds-p.CPUSeconds, 0)
		p.ChildrenResidentBytes = max(all.ResidentBytes, p.ResidentBytes) - p.ResidentBytes
	}
	return p
}

// Handler serves /api/status, /metrics and /healthz.
func (r *Reporter) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/status", r.serveStatus)
	mux.HandleFunc("GET /healthz", r.serveHealth)
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	return mux
}

func (r *Reporter) serveStatus(w http.ResponseWriter, _ *http.Request) {
	data, err := json.MarshalIndent(r.Status(), "", "  ")
	if err != nil { // a detail that JSON can't hold, such as NaN
		http.Error(w, fmt.Sprintf("status: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(append(data, '\n'))
}

// serveHealth answers 503 for a program that is failed or still starting; one
// that is degraded does its work.
func (r *Reporter) serveHealth(w http.ResponseWriter, _ *http.Request) {
	s := r.Status()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if s.State != OK && s.State != Degraded {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if s.Cause == "" {
		fmt.Fprintln(w, s.State)
		return
	}
	fmt.Fprintf(w, "%s: %s\n", s.State, s.Cause)
}

// Serve serves Handler on addr until the context ends, whose error it returns.
func (r *Reporter) Serve(ctx context.Context, addr string) error {
	return run.ServeHTTP(ctx, addr, r.Handler())
}
