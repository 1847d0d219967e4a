package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/process"
	"github.com/openvideobox/videobox/appliance/internal/restart"
	"github.com/openvideobox/videobox/internal/metrics"
)

const (
	interval  = 5 * time.Second
	timeout   = 4 * time.Second
	patience  = 30 * time.Second
	maxKills  = 3
	maxDeaths = 10
	span      = 10 * time.Minute // in which they count
)

type action int

const (
	nothing action = iota
	kill
	restartBox // after killing boxd, too
)

// look is what guard sees every five seconds.
type look struct {
	answers bool
	pid     int // of boxd; 0 when there is none
}

// judge decides what is to be done. It knows no process and no clock.
type judge struct {
	answered time.Time // or was last given time to start
	kills    []time.Time
	deaths   []time.Time // of boxd by itself
	pid      int         // at the last look
}

// check takes a look. An answer counts when the same process was there at the
// look before: one that crashes at every start may well answer once.
func (j *judge) check(now time.Time, l look) action {
	first := j.answered.IsZero()
	steady := l.pid == j.pid
	if !steady && j.pid != 0 {
		j.deaths = append(lately(now, j.deaths), now)
	}
	j.pid = l.pid
	if first || l.answers && steady {
		j.answered = now
	}
	if len(lately(now, j.deaths)) >= maxDeaths {
		j.deaths = nil
		j.expectANewOne(now)
		return restartBox
	}
	if now.Sub(j.answered) < patience {
		return nothing
	}
	j.expectANewOne(now)
	if j.kills = append(lately(now, j.kills), now); len(j.kills) < maxKills {
		return kill
	}
	return restartBox
}

// expectANewOne gives the boxd that comes after a kill its time.
func (j *judge) expectANewOne(now time.Time) { j.answered, j.pid = now, 0 }

func lately(now time.Time, list []time.Time) []time.Time {
	for len(list) > 0 && now.Sub(list[0]) >= span {
		list = list[1:]
	}
	return list
}

// watch is the program; what it does to the system can be replaced by tests.
type watch struct {
	url     string
	box     string // boxd's --name
	judge   judge
	client  *http.Client
	hop     *metrics.HopCounter
	leaf    *metrics.LeafState
	find    func(box string) int
	kill    func(box string) (int, error)
	restart func(why string) error
	trial   *trial
	refused bool // a restart, since boxd last answered
}

func newWatch(box, url string, r *metrics.Reporter) *watch {
	w := &watch{
		url: url, box: box, find: findBoxd, restart: restartThis,
		kill:   func(box string) (int, error) { return process.Kill("boxd", box) },
		trial:  systemTrial(),
		client: &http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}},
		hop:    r.Hop("boxd", "in", "tcp", url), leaf: r.Leaf("boxd"),
	}
	w.hop.SetStall(3*interval, metrics.Degraded)
	return w
}

func restartThis(why string) error { return restart.System().Do("guard", why) }

func findBoxd(box string) int {
	pids, err := process.Find("boxd", box)
	if err != nil || len(pids) == 0 {
		return 0
	}
	return slices.Min(pids)
}

func (w *watch) run(ctx context.Context) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		w.round(ctx, time.Now())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// round asks once and does what is due.
func (w *watch) round(ctx context.Context, now time.Time) {
	err := w.ask(ctx)
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		w.leaf.Set(metrics.OK, "")
		w.refused = false
	} else if !w.refused {
		w.leaf.Set(metrics.Degraded, fmt.Sprintf("boxd does not answer: %v", err))
	}
	w.trial.check(err)
	switch w.judge.check(now, look{err == nil, w.find(w.box)}) {
	case kill:
		w.end(err)
	case restartBox:
		w.end(err)
		w.restartBox(err)
	}
}

// restartBox does, unless a restart helped too little lately. That is said once
// for as long as boxd stays away.
func (w *watch) restartBox(cause error) {
	w.trial.end(fmt.Sprintf("boxd was killed or died too often within %v: %v", span, cause))
	err := w.restart(fmt.Sprintf("boxd was killed or died too often within %v: %v", span, cause))
	if err == nil {
		return
	}
	w.leaf.Set(metrics.Failed, "a restart of the box is due: "+err.Error())
	if !w.refused {
		slog.Error("guard: boxd does not come up and the box does not restart", "error", err)
	}
	w.refused = true
}

// ask wants any answer: a boxd that says what is wrong is alive.
func (w *watch) ask(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url, nil)
	if err != nil {
		return err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	w.hop.Add(1)
	return resp.Body.Close()
}

func (w *watch) end(cause error) {
	n, err := w.kill(w.box)
	slog.Error("guard: killed boxd", "after", patience, "cause", cause, "processes", n, "error", err)
	w.hop.Drop(n)
}
