package main

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/fleet/internal/box"
	"github.com/openvideobox/videobox/images/fleet/internal/rollout"
	"github.com/openvideobox/videobox/images/fleet/internal/simbox"
	"github.com/openvideobox/videobox/internal/dnssd"
	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/metrics"
)

// conditions are boxes that are well, ill, old in what they know, not there, and one
// that nobody listed.
func conditions() ([]seen, []dnssd.Found) {
	now := time.Date(2027, 1, 30, 10, 0, 0, 0, time.UTC)
	of := func(name string, change func(*seen)) seen {
		s := seen{target: rollout.Target{Name: name, Room: "janson"}}
		s.status = metrics.Status{Name: name, Version: "v0", Now: now, Started: now.Add(-90 * time.Minute), State: metrics.OK}
		s.status.Health = []metrics.Leaf{{Name: "disk space", State: metrics.OK, Value: "21 h left of 29 GB", Looked: now.Add(-time.Second)}}
		s.detail.Uptime = 3 * 86400
		s.detail.Clock = &struct {
			Synced bool          `json:"synced"`
			Set    bool          `json:"set"`
			Lost   bool          `json:"lost"`
			Offset time.Duration `json:"offset_ns"`
		}{true, true, false, -1200 * time.Microsecond}
		s.update = box.Update{State: box.Idle, Running: box.Running{Version: "1.2"}}
		if change != nil {
			change(&s)
		}
		return s
	}
	all := []seen{
		of("well", nil),
		of("ill", func(s *seen) {
			s.status.State, s.status.Cause = metrics.Failed, "signal: no cable"
			s.detail.Clock.Synced, s.detail.Clock.Lost = false, true
			s.update.State, s.update.Last = box.Failed, box.Last{To: "1.3", Reason: "no picture"}
		}),
		of("stuck", func(s *seen) {
			s.status.Health[0].Looked = now.Add(-4 * time.Minute)
			s.update.State, s.update.Incoming = box.Receiving, box.Incoming{Version: "1.3", Received: 25, Size: 100}
			s.update.Busy.Reason = "rehearsal"
		}),
		of("no-clock", func(s *seen) {
			s.update.Note = "the clock is not right yet, so nobody knows whether there is a talk"
		}),
		of("other-name", func(s *seen) { s.status.Name = "videobox-000007" }),
		of("locked", func(s *seen) { s.updateErr, s.detail, s.status.Health = box.ErrCredentials, boxDetail{}, nil }),
		of("away", func(s *seen) { s.err = box.ErrAway }),
	}
	return all, []dnssd.Found{{Name: "spare\x1b[31m", Addr: netip.MustParseAddrPort("192.0.2.9:80"), Text: map[string]string{"mac": "52:54:00:00:00:09", "version": "1.1"}}}
}

func TestStatusTable(t *testing.T) {
	all, found := conditions()
	var out bytes.Buffer
	if err := printStatus(&out, all, found); err == nil || err.Error() != "of 7 boxes 1 don't answer and 1 are not well" {
		t.Errorf("error %v", err)
	}
	golden(t, "status.txt", out.String())
	if err := printStatus(&out, all[:1], nil); err != nil {
		t.Errorf("a box that is well: %v", err)
	}
}

// TestAsk asks simulated boxes, one of them with another password and one that
// isn't there.
func TestAsk(t *testing.T) {
	f := simbox.NewFleet(3)
	t.Cleanup(f.Close)
	config, _ := conference(t, f, secretsWith(t, "secret"))
	e, err := event.Load(config)
	if err != nil {
		t.Fatal(err)
	}
	f.Boxes[1].Password = "other"
	list, err := targets(e, nil, nil, e.Secrets.Box)
	if err != nil {
		t.Fatal(err)
	}
	list[2].Box.Addr = "127.0.0.1:1"
	all := ask(t.Context(), list, true)
	for i, want := range []string{"ok idle", "ok no credentials", "unreachable ?"} {
		if r := all[i].row(); r[4]+" "+r[7] != want {
			t.Errorf("%q, want %q", r, want)
		}
	}
	if all := ask(t.Context(), list[:1], false); all[0].updateState() != "no credentials" {
		t.Errorf("without a password: %q", all[0].updateState())
	}
	if !strings.Contains(all[2].row()[8], "does not answer") {
		t.Errorf("away: %q", all[2].row())
	}
}
