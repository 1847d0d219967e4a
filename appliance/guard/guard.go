package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/internal/metrics"
)

const (
	interval  = 5 * time.Second
	timeout   = 4 * time.Second
	patience  = 30 * time.Second
	maxKills  = 3
	killsSpan = 10 * time.Minute
)

type action int

const (
	nothing action = iota
	kill
	restart // the box; boxd is killed, too
)

// judge decides what is to be done. It knows no process and no clock.
type judge struct {
	answered time.Time // or was last given time to start
	kills    []time.Time
	asked    bool // for a restart, since boxd last answered
}

func (j *judge) check(now time.Time, answers bool) action {
	if answers || j.answered.IsZero() {
		j.answered = now
		j.asked = j.asked && !answers
		return nothing
	}
	if now.Sub(j.answered) < patience {
		return nothing
	}
	j.answered = now
	recent := j.kills[:0]
	for _, t := range j.kills {
		if now.Sub(t) < killsSpan {
			recent = append(recent, t)
		}
	}
	j.kills = append(recent, now)
	if len(j.kills) < maxKills || j.asked {
		return kill
	}
	j.asked = true
	return restart
}

// watch is the program; what it does to the system can be replaced by tests.
type watch struct {
	url    string
	box    string
	judge  judge
	client *http.Client
	hop    *metrics.HopCounter
	leaf   *metrics.LeafState
	kill   func(box string) (int, error)
	reboot func() error
}

func newWatch(box, url string, r *metrics.Reporter) *watch {
	w := &watch{
		url: url, box: box, kill: killBoxd, reboot: reboot,
		client: &http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}},
		hop:    r.Hop("boxd", "in", "tcp", url), leaf: r.Leaf("boxd"),
	}
	w.hop.SetStall(3*interval, metrics.Degraded)
	return w
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
	} else {
		w.leaf.Set(metrics.Degraded, fmt.Sprintf("boxd does not answer: %v", err))
	}
	switch w.judge.check(now, err == nil) {
	case kill:
		w.end(err)
	case restart:
		w.end(err)
		slog.Error("guard: boxd was killed too often, the box restarts", "kills", maxKills, "within", killsSpan)
		if err := w.reboot(); err != nil {
			slog.Error("guard: the box does not restart", "error", err)
			w.leaf.Set(metrics.Failed, "a restart of the box is due: "+err.Error())
		}
	}
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

// reboot restarts a box of ours. Any other host is left alone.
func reboot() error {
	if init, err := os.Readlink("/proc/1/exe"); err != nil || init != "/gokrazy/init" {
		return fmt.Errorf("not done, since this host is no videobox image (process 1 is %q)", init)
	}
	unix.Sync()
	return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}
