//go:build vm

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/fleet/internal/box"
	"github.com/openvideobox/videobox/images/fleet/internal/simbox"
	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/metrics"
)

// The machines: three boxes, which are real ones but for their hardware.
const machines = 3

// board is what they are: an emulated PC costs its host less than an emulated Pi.
const board = "videobox-pc"

// build runs images/build in the repository's root.
func build(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"run", "./images/build", "--instance", board}, args...)...)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("images/build %v: %v\n%s", args, err, out)
	}
}

// mixed is an event of three machines and twenty simulated boxes, two a room.
type mixed struct {
	*simbox.Fleet
	vms          []*vm.Machine
	config, vbox string
}

// newMixed makes a newer image of the same sources, its bundle, and machines
// with the older one, into which `fleet image` has written the event's secrets.
// They start one after the other, each when the one before is at rest: starting
// takes a core and more.
func newMixed(ctx context.Context, t *testing.T) *mixed {
	t.Helper()
	if err := errors.Join(vm.Needs(), vm.NeedsPC()); err != nil {
		t.Fatal(err)
	}
	old, err := filepath.Abs("../../bin/" + board + ".img")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err != nil {
		t.Fatalf("%v; make image-pc builds it", err)
	}
	dir := t.TempDir()
	key, next := filepath.Join(dir, "key"), filepath.Join(dir, "next.img")
	m := &mixed{vbox: filepath.Join(dir, "next.vbox"), config: filepath.Join(dir, "event.yaml")}
	if err := os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString(simbox.Key.Seed())), 0o600); err != nil {
		t.Fatal(err)
	}
	build(t, "image", "--out", next)
	build(t, "bundle", "--key", key, "--image", next, "--out", m.vbox)
	card := filepath.Join(dir, "card.img")
	if out, err := exec.CommandContext(t.Context(), "cp", "--sparse=always", old, card).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	m.Fleet = simbox.NewFleetOn(20, clock.System)
	t.Cleanup(m.Close)
	for i, b := range m.Boxes {
		if i != 19 { // that one is of another board
			b.Set(func(_ *simbox.Faults, r *box.Running) { r.Board = board })
		}
	}
	m.writeEvent(t, make([]int, machines)) // ports don't matter for the card
	if err := (imageCmd{Config: m.config, Image: card}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range machines {
		m.vms = append(m.vms, startBox(t, card, dir, fmt.Sprint("vm", i+1)))
		m.ready(ctx, t, i)
	}
	m.writeEvent(t, m.ports(t))
	return m
}

// startBox boots a box with one processor, the smallest picture and no stick:
// slates cost less, and the update judges a box by how it was before.
func startBox(t *testing.T, image, dir, name string) *vm.Machine {
	t.Helper()
	perm, err := vm.BoxPerm("secret")
	if err != nil {
		t.Fatal(err)
	}
	delete(perm, "event.secrets.yaml") // the card's videobox.yaml has them
	perm["event.yaml"] = strings.NewReplacer(
		"secrets: event.secrets.yaml\n", "",
		"name: videobox", "name: "+name, "camera: videobox", "camera: "+name,
		"320x180, rate: 10, bitrate: 400k", "160x90, rate: 5, bitrate: 200k",
	).Replace(perm["event.yaml"])
	m, err := vm.Start(context.Background(), vm.Config{Image: image, Dir: filepath.Join(dir, name), Perm: perm, Ports: map[int]int{80: 0, 8899: 0}, PC: board == "videobox-pc", CPUs: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Stop()
		if t.Failed() {
			t.Logf("%s:\n%s", name, m.Console.Last(30))
		}
	})
	return m
}

func (m *mixed) ports(t *testing.T) (list []int) {
	t.Helper()
	for _, v := range m.vms {
		_, port, err := net.SplitHostPort(v.Addr(80))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		_, _ = fmt.Sscan(port, &n)
		list = append(list, n)
	}
	return list
}

// writeEvent lists the machines first, vm1 to vm3, then the simulated boxes.
func (m *mixed) writeEvent(t *testing.T, vms []int) {
	t.Helper()
	var boxes, rooms bytes.Buffer
	var names []string
	add := func(name string, port int) {
		i := len(names)
		if port == 0 {
			port = 10000 + i
		}
		fmt.Fprintf(&boxes, "  - {name: %s, address: 127.0.0.1, ports: {http: %d, stream: %d, status: %d}}\n", name, port, 20000+2*i, 30000+10*i)
		names = append(names, name)
	}
	for i, port := range vms {
		add(fmt.Sprint("vm", i+1), port)
	}
	for i, b := range m.Boxes {
		_, text, _ := net.SplitHostPort(m.Addr(i))
		port := 0
		_, _ = fmt.Sscan(text, &port)
		add(b.Name, port)
	}
	for i := 0; i+1 < len(names); i += 2 {
		fmt.Fprintf(&rooms, "  - {name: room%d, camera: %s, slides: %s, mixer: {host: mix%d.example}}\n", i/2+1, names[i], names[i+1], i/2+1)
	}
	text := "event: Drill\nsecrets: secrets.yaml\nboxes:\n" + boxes.String() + "rooms:\n" + rooms.String()
	secrets := filepath.Join(filepath.Dir(m.config), "secrets.yaml")
	if _, err := os.Stat(secrets); err != nil {
		if err := os.WriteFile(secrets, []byte(secretsWith(t, "secret")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(m.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ready waits until a machine answers with the credentials from the card, and
// has streamed and recorded for 10 s.
func (m *mixed) ready(ctx context.Context, t *testing.T, i int) {
	t.Helper()
	v := m.vms[i]
	first, err := vm.FirstByte(ctx, v, 8899)
	if err != nil {
		t.Fatal(err)
	}
	b := box.Box{Addr: v.Addr(80), User: "admin", Password: "secret", HTTP: box.Client()}
	poll := time.NewTicker(2 * time.Second)
	defer poll.Stop()
	for well := 0; well < 5; {
		u, err := b.Update(ctx)
		s, serr := b.Status(ctx)
		if well++; err != nil || serr != nil || leaf(s, "recorder growing") != metrics.OK || leaf(s, "stream growing") != metrics.OK {
			well = 0
		}
		if well == 1 {
			t.Logf("vm%d: first byte after %.0f s, well after %.0f s, runs %+v", i+1, first.Seconds(), time.Since(v.Started).Seconds(), u.Running)
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("vm%d is not well: %v, %v, %+v", i+1, err, serr, s.Health)
		}
	}
}

func leaf(s metrics.Status, name string) metrics.State {
	for _, l := range s.Health {
		if l.Name == name {
			return l.State
		}
	}
	return ""
}

func (m *mixed) update(ctx context.Context, t *testing.T, c updateCmd) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c.Config, c.Bundle = m.config, m.vbox
	err := c.run(ctx, &show{out: &out, now: time.Now}, clock.System, nobody)
	t.Logf("error %v\n%s", err, out.String())
	return out.String(), err
}

// TestDrillFleetPC updates three virtual machines and twenty simulated boxes: a
// machine is the canary; a simulated box fails and stops it; one is in a talk;
// one is of another board; then all but these two get it. The table must say so.
func TestDrillFleetPC(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 22*time.Minute)
	defer cancel()
	m := newMixed(ctx, t)
	m.Boxes[6].SetTalk("Opening, until 10:30")
	m.Fault(3, func(f *simbox.Faults) { f.TrialFails = "no picture" })

	text, err := m.update(ctx, t, updateCmd{Parallel: 5, Canary: "vm1"})
	if err == nil || !strings.HasPrefix(err.Error(), "stopped by a failure") {
		t.Errorf("the first time: %v", err)
	}
	first := map[string]string{"vm1": "updated (canary)", "box4": "FAILED", "box7": "in use", "box19": "untouched", "box20": "another board"}
	for name, want := range first {
		if got := resultIn(text, name); got != want {
			t.Errorf("the first time, %s: %q, want %q", name, got, want)
		}
	}

	m.Fault(3, func(f *simbox.Faults) { f.TrialFails = "" })
	e, err := event.Load(m.config)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"box7": "in use", "box20": "another board"}
	for _, b := range e.Boxes {
		if strings.HasPrefix(resultIn(text, b.Name), "updated") {
			want[b.Name] = "has it already"
		}
	}
	text, err = m.update(ctx, t, updateCmd{Parallel: 5})
	if err == nil || err.Error() != "1 of 23 boxes doesn't have it yet; run this again for it" {
		t.Errorf("the second time: %v", err)
	}
	for _, b := range e.Boxes {
		if got := strings.TrimSuffix(resultIn(text, b.Name), " (canary)"); got != cmp.Or(want[b.Name], "updated") {
			t.Errorf("the second time, %s: %q, want %q", b.Name, got, cmp.Or(want[b.Name], "updated"))
		}
	}
	m.status(ctx, t, e)
	for i, v := range m.vms {
		u, err := (box.Box{Addr: v.Addr(80), User: "admin", Password: "secret", HTTP: box.Client()}).Update(ctx)
		if err != nil || u.State != box.Committed || u.Running.Slot != "B" || v.Restarts() > 1 {
			t.Errorf("vm%d: %+v, %d restarts, %v", i+1, u, v.Restarts(), err)
		}
	}
}

// status is what `fleet status` shows of the machines.
func (m *mixed) status(ctx context.Context, t *testing.T, e *event.Event) {
	t.Helper()
	list, err := targets(e, []string{"vm1", "vm2", "vm3"}, nil, e.Secrets.Box)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	all := ask(ctx, list, true)
	t.Log(printStatus(&out, all, nil))
	t.Logf("fleet status:\n%s", out.String())
	for _, s := range all {
		if s.err != nil || s.detail.Uptime <= 0 || s.detail.Clock == nil || s.disk() == "?" || s.updateState() != string(box.Committed) || s.target.Name != s.status.Name {
			t.Errorf("%s: %+v", s.target.Name, s)
		}
	}
}

// resultIn is a box's result in the table at the end.
func resultIn(text, name string) string {
	_, table, _ := strings.Cut(text, "\n\nBOX")
	lines := strings.Split("BOX"+table, "\n")
	from := strings.Index(lines[0], "RESULT")
	to := strings.Index(lines[0], "OUTAGE")
	for _, l := range lines[1:] {
		if f := strings.Fields(l); len(f) > 0 && f[0] == name && len(l) > from {
			return strings.TrimSpace(string([]rune(l + strings.Repeat(" ", 80))[from:to]))
		}
	}
	return ""
}
