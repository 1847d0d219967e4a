package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openvideobox/videobox/images/fleet/internal/box"
	"github.com/openvideobox/videobox/images/fleet/internal/rollout"
	"github.com/openvideobox/videobox/internal/dnssd"
	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/metrics"
)

type statusCmd struct {
	Config   string   `required:"" placeholder:"FILE" help:"The event file."`
	Only     []string `placeholder:"BOX" help:"These boxes only."`
	Password string   `env:"VIDEOBOX_PASSWORD" hidden:""`
}

// Help says what the columns are.
func (statusCmd) Help() string {
	return `Each box is asked once. What it last found out more than 10 s ago is marked with its age; one that doesn't answer is shown with the reason. CLOCK is how far the time servers say that its clock is off. UPDATE needs the boxes' password, and ends with what a box can't find out, such as whether there is a talk now; fleet update says why. Boxes that answer DNS-SD in this network but aren't in the event file come last.

Exit code: 0 when every box of the event answers and is well, else 1.`
}

// Run asks all boxes and prints a table.
func (c statusCmd) Run(ctx context.Context) error { return c.run(ctx, os.Stdout) }

func (c statusCmd) run(ctx context.Context, out io.Writer) error {
	e, err := event.Load(c.Config)
	if err != nil {
		return err
	}
	l, noLogin := login(e, c.Password)
	list, err := targets(e, c.Only, nil, l)
	if err != nil {
		return err
	}
	found := lookup(ctx)
	findLocal(e, list, found)
	seen := ask(ctx, list, noLogin == nil)
	return printStatus(out, seen, strangers(e, found))
}

// seen is what a box said.
type seen struct {
	target    rollout.Target
	status    metrics.Status
	detail    boxDetail
	err       error // of asking
	update    box.Update
	updateErr error // of asking; box.ErrCredentials also where none are known
}

// boxDetail is the part of boxd's status that is shown here.
type boxDetail struct {
	Uptime float64 `json:"uptime_seconds"` // of the box
	Clock  *struct {
		Synced bool          `json:"synced"`
		Set    bool          `json:"set"`
		Lost   bool          `json:"lost"`
		Offset time.Duration `json:"offset_ns"`
	} `json:"clock"`
}

// ask asks all boxes at the same time, each once.
func ask(ctx context.Context, list []rollout.Target, login bool) []seen {
	all := make([]seen, len(list))
	var wg sync.WaitGroup
	for i, t := range list {
		wg.Go(func() {
			s := &all[i]
			s.target = t
			if s.status, s.err = t.Box.Status(ctx); s.err != nil {
				return
			}
			if data, err := json.Marshal(s.status.Detail); err == nil {
				_ = json.Unmarshal(data, &s.detail) // another program's detail shows nothing
			}
			if s.updateErr = box.ErrCredentials; login {
				s.update, s.updateErr = t.Box.Update(ctx)
			}
		})
	}
	wg.Wait()
	return all
}

// stale is from when on what a box found out is old.
const stale = 10 * time.Second

func (s seen) row() []string {
	name, room := s.target.Name, or(s.target.Room, "–")
	if s.err != nil {
		return []string{name, room, "?", "?", "unreachable", "?", "?", "?", s.err.Error()}
	}
	health, cause := s.health()
	return []string{name, room, printable(s.version()), s.uptime(), health, s.clock(), s.disk(), s.updateState(), printable(cause)}
}

func (s seen) version() string {
	if s.updateErr == nil && s.update.Running.Version != "" {
		return s.update.Running.Version
	}
	return or(s.status.Version, "?")
}

// uptime is the box's, or where it doesn't say, boxd's.
func (s seen) uptime() string {
	if s.detail.Uptime > 0 {
		return span(time.Duration(s.detail.Uptime * float64(time.Second)))
	}
	if s.status.Started.IsZero() {
		return "?"
	}
	return "boxd " + span(s.status.Now.Sub(s.status.Started))
}

// health is the box's state, with the age of the oldest leaf if that is old.
func (s seen) health() (state, cause string) {
	state, cause = string(s.status.State), s.status.Cause
	var age time.Duration
	for _, l := range s.status.Health {
		if !l.Looked.IsZero() {
			age = max(age, s.status.Now.Sub(l.Looked))
		}
	}
	if age > stale {
		state += ", " + span(age) + " old"
	}
	if s.target.Name != s.status.Name {
		cause = strings.TrimSuffix("it calls itself "+or(s.status.Name, "nothing")+"; "+cause, "; ")
	}
	return state, cause
}

func (s seen) clock() string {
	c := s.detail.Clock
	switch {
	case c == nil:
		return "?"
	case !c.Set:
		return "never set"
	}
	text := fmt.Sprintf("%+.1f ms", float64(c.Offset)/1e6)
	switch {
	case !c.Synced:
		text += ", not in sync"
	case c.Lost:
		text += ", lost"
	}
	return text
}

// disk is what the box says of the disk that it records to.
func (s seen) disk() string {
	for _, l := range s.status.Health {
		if l.Name == "disk space" {
			return printable(or(l.Value, string(l.State)))
		}
	}
	return "?"
}

func (s seen) updateState() string {
	var no *box.Refused
	switch {
	case errors.Is(s.updateErr, box.ErrCredentials):
		return "no credentials"
	case errors.As(s.updateErr, &no):
		return printable(no.Why)
	case s.updateErr != nil:
		return "?"
	}
	u, text := s.update, string(s.update.State)
	switch {
	case u.State == box.Receiving && u.Incoming.Size > 0:
		text = fmt.Sprintf("has %d %% of %s", 100*u.Incoming.Received/u.Incoming.Size, u.Incoming.Version)
	case u.State == box.Failed:
		text = u.Last.To + " failed: " + u.Last.Reason
	}
	if u.Busy.Reason != "" {
		text += "; busy: " + u.Busy.Reason
	}
	if u.Note != "" {
		text += "; " + brief(u.Note)
	}
	return printable(text)
}

// brief is a sentence's beginning: in a column there is no room for why.
func brief(s string) string {
	s, _, _ = strings.Cut(s, ": ")
	s, _, _ = strings.Cut(s, ", ")
	return s
}

// span is a time in one or two units.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

// strangers are boxes in this network that the event file doesn't know.
func strangers(e *event.Event, found []dnssd.Found) (list []dnssd.Found) {
	for _, f := range found {
		if !slices.ContainsFunc(e.Boxes, func(b event.Box) bool { return known(b, f) }) {
			list = append(list, f)
		}
	}
	return list
}

// printStatus prints all, and is an error unless all boxes are well.
func printStatus(out io.Writer, all []seen, others []dnssd.Found) error {
	var rows [][]string
	var away, ill int
	for _, s := range all {
		rows = append(rows, s.row())
		switch {
		case s.err != nil:
			away++
		case s.status.State != metrics.OK:
			ill++
		}
	}
	table(out, []string{"BOX", "ROOM", "VERSION", "UP", "HEALTH", "CLOCK", "DISK", "UPDATE", "CAUSE"}, rows)
	if len(others) > 0 {
		fmt.Fprintf(out, "\nIn this network, not in the event file:\n")
		rows = nil
		for _, f := range others {
			rows = append(rows, []string{printable(f.Name), "http://" + f.Addr.String() + "/", printable(or(f.Text["mac"], "?")), printable(or(f.Text["version"], "?")), printable(f.Text["room"])})
		}
		table(out, []string{"NAME", "ADDRESS", "MAC", "VERSION", "ROOM"}, rows)
	}
	if away+ill > 0 {
		return fmt.Errorf("of %d boxes %d don't answer and %d are not well", len(all), away, ill)
	}
	return nil
}
