package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvideobox/videobox/images/fleet/internal/rollout"
	"github.com/openvideobox/videobox/internal/bundle"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/dnssd"
	"github.com/openvideobox/videobox/internal/event"
)

type updateCmd struct {
	Config   string   `required:"" placeholder:"FILE" help:"The event file; its secrets file has the boxes' user and password."`
	Bundle   string   `required:"" placeholder:"FILE" help:"What make bundle made."`
	Parallel int      `default:"5" help:"Boxes at a time, after the canary. Each sends its stream again some seconds after it began its trial."`
	Canary   string   `placeholder:"BOX" help:"The box that goes first; without it the first of the event file that may be updated."`
	Only     []string `placeholder:"BOX" help:"These boxes only; may be given several times."`
	Skip     []string `placeholder:"BOX" help:"All but these."`
	Force    []string `placeholder:"busy,older" enum:"busy,older" help:"busy: also boxes that are marked busy or in a scheduled talk; older: also where a newer version runs."`
	Password string   `env:"VIDEOBOX_PASSWORD" hidden:""`
}

// Help says what goes on, and what to do then.
func (updateCmd) Help() string {
	return `All boxes are looked at first: one in use (busy, or in a talk), with the version already or with a newer one, of another board or without an answer is left out. A box that can't find out whether there is a talk gets it, and that is said. The canary gets the bundle, restarts into it and must commit it, which takes about two minutes; then the others follow. The first failure ends it: boxes on trial come to their end, nobody else begins.

A box that fails goes back to its old version by itself. What a box has received it keeps, so that running the same again goes on where it was. Ctrl-C ends it too: boxes on trial commit or go back by themselves.

Boxes take bundles that are signed by the key of which they have the public half: images/build key makes both, make bundle KEY= signs, fleet image puts the public one onto cards. The password may be in ` + passwordEnv + ` instead of the secrets file.

Exit code: 0 when every box asked for runs the version, 1 when not, with a table that says why.

Examples:
  fleet update --config event.yaml --bundle bin/videobox.vbox
  fleet update --config event.yaml --bundle bin/videobox.vbox --only box7
  fleet update --config event.yaml --bundle old.vbox --force older,busy`
}

// Run updates the boxes.
func (c updateCmd) Run(ctx context.Context) error {
	return c.run(ctx, newShow(os.Stdout), clock.System, lookup)
}

// run is Run with a clock and a search that tests can give.
func (c updateCmd) run(ctx context.Context, s *show, wait clock.Clock, search func(context.Context) []dnssd.Found) error {
	e, err := event.Load(c.Config)
	if err != nil {
		return err
	}
	l, err := login(e, c.Password)
	if err != nil {
		return err
	}
	list, err := targets(e, c.Only, c.Skip, l)
	if err != nil {
		return err
	}
	if c.Canary != "" && !slices.ContainsFunc(list, func(t rollout.Target) bool { return t.Name == c.Canary }) {
		return fmt.Errorf("the canary %q is none of the boxes to update", c.Canary)
	}
	b, closeBundle, err := openBundle(c.Bundle, e)
	if err != nil {
		return err
	}
	defer closeBundle()
	findLocal(e, list, search(ctx))
	fmt.Fprintf(s.out, "%s for %s, %.0f MB, to %d boxes of %s\n", printable(b.Version), b.Board, float64(b.Size)/1e6, len(list), e.Name)
	for _, t := range list {
		s.rows = append(s.rows, rollout.Row{Box: t.Name, Phase: rollout.Looking})
	}
	rows := rollout.Plan{
		Targets: list, Bundle: b, Parallel: c.Parallel, Canary: c.Canary, Force: c.Force, Clock: wait, Changed: s.changed,
	}.Run(ctx)
	s.end()
	return report(s.out, rows)
}

// openBundle checks the whole file before any box gets a byte of it: by the
// event's update key if there is one.
func openBundle(path string, e *event.Event) (b rollout.Bundle, closeFile func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return b, nil, fmt.Errorf("bundle: %w; make bundle makes one", err)
	}
	h, err := bundle.Check(f, e.Secrets.UpdateKey)
	if err != nil {
		f.Close()
		return b, nil, fmt.Errorf("%s: %w", path, err)
	}
	return rollout.Bundle{Version: h.Version, Build: h.Build, Board: h.Board, Data: f, Size: h.Size()}, func() { f.Close() }, nil
}

// newShow draws on a terminal, and writes lines into anything else.
func newShow(out *os.File) *show {
	s := &show{out: out, now: time.Now}
	if size, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ); err == nil {
		s.terminal, s.width = true, int(size.Col)
	}
	return s
}

// report prints the table, and is an error unless every box has the version.
func report(out io.Writer, rows []rollout.Row) error {
	var cells [][]string
	count := map[rollout.Result]int{}
	for _, r := range rows {
		outage := ""
		if r.Outage >= 0 {
			outage = fmt.Sprintf("%.1f s", r.Outage.Seconds())
		}
		result := string(r.Result)
		if r.Canary {
			result += " (canary)"
		}
		cells = append(cells, []string{r.Box, or(r.Room, "–"), or(printable(r.From), "?"), or(printable(r.To), "?"), result, outage, printable(because(r))})
		count[r.Result]++
	}
	fmt.Fprintln(out)
	table(out, []string{"BOX", "ROOM", "FROM", "TO", "RESULT", "OUTAGE", "REASON"}, cells)
	text := tally(count)
	fmt.Fprintf(out, "\n%s\n", text)
	return verdict(count, len(rows))
}

// because is a row's reason, and what its box didn't know when it began.
func because(r rollout.Row) string {
	if r.Reason != "" && r.Note != "" {
		return r.Reason + "; " + r.Note
	}
	return r.Reason + r.Note
}

// order is that in which results are counted.
var order = []rollout.Result{rollout.Updated, rollout.Already, rollout.Failed, rollout.OnTrial, rollout.Untouched, rollout.InUse, rollout.NoAnswer, rollout.Newer, rollout.OtherBoard}

func tally(count map[rollout.Result]int) string {
	var parts []string
	for _, r := range order {
		if count[r] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[r], r))
		}
	}
	return strings.Join(parts, ", ")
}

// verdict says what to do next. Boxes of another board want another bundle, and
// are no fault of this one.
func verdict(count map[rollout.Result]int, all int) error {
	left := all - count[rollout.Updated] - count[rollout.Already] - count[rollout.OtherBoard]
	switch {
	case count[rollout.Failed] > 0:
		return errors.New("stopped by a failure; a box whose trial failed runs its old version again")
	case count[rollout.OnTrial] == 1:
		return errors.New("interrupted; 1 box is on trial and commits or goes back by itself; run this again afterwards for what is left")
	case count[rollout.OnTrial] > 1:
		return fmt.Errorf("interrupted; %d boxes are on trial and commit or go back by themselves; run this again afterwards for what is left", count[rollout.OnTrial])
	case left == 0 && count[rollout.Updated]+count[rollout.Already] == 0:
		return errors.New("no box is of the bundle's board")
	case left == 1:
		return fmt.Errorf("1 of %d boxes doesn't have it yet; run this again for it", all)
	case left > 0:
		return fmt.Errorf("%d of %d boxes don't have it yet; run this again for them", left, all)
	}
	return nil
}
