package main

import (
	"time"

	"github.com/openvideobox/videobox/appliance/boxd/internal/board"
	"github.com/openvideobox/videobox/appliance/boxd/internal/disk"
	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/internal/metrics"
)

// settling is for how long after its start boxd doesn't know yet what stands
// still.
const settling = 5 * time.Second

// scene is what a round of looking has seen; the leaves are judged from it, all
// of them from the same.
type scene struct {
	role                                 string        // of the box in its room
	up                                   time.Duration // of boxd
	capture, record                      peers.Peer
	stream                               streamDetail
	files                                fileGrowth
	lostDisk                             string // that recordings went to
	twinDisk                             string // flashed from the same image
	excused                              bool   // the recorder, a moment ago, by another leaf's fault
	disk                                 metrics.Finding
	clock, temperature, voltage, network metrics.Finding
	update                               metrics.Finding
}

// tree is the health of a box: fixed names, whatever runs. A leaf is red
// (failed) when the fault is its own. What follows from another leaf's fault is
// not: it is unknown, or degraded if it is known to do less, and names the
// other. So one fault makes one leaf red:
//
//	device          →  signal unknown
//	stream growing  →  recorder growing degraded
//	disk space      →  recorder growing degraded
//	capture away    →  device, signal, encoder unknown
var tree = []struct {
	name string
	look func(*scene) metrics.Finding
}{
	{"device", device},
	{"signal", signal},
	{"encoder", encoder},
	{"stream growing", streamGrowing},
	{"recorder growing", recorderGrowing},
	{"disk space", diskSpace},
	{"clock", func(s *scene) metrics.Finding { return s.clock }},
	{"temperature", func(s *scene) metrics.Finding { return s.temperature }},
	{"voltage", func(s *scene) metrics.Finding { return s.voltage }},
	{"network link", func(s *scene) metrics.Finding { return s.network }},
	{"update", func(s *scene) metrics.Finding { return s.update }},
}

// health looks at the box and keeps what it finds in the reporter's leaves.
type health struct {
	s       *server
	board   board.Board
	started time.Time
	files   *watchedFiles
	leaves  []*metrics.LeafState // as in tree
	excused time.Time            // when another leaf's fault last held up the recorder
}

func newHealth(s *server, recordings string) *health {
	h := &health{s: s, board: board.System, started: time.Now(), files: newWatchedFiles(recordings, s.box.Box.Name)}
	for _, l := range tree {
		h.leaves = append(h.leaves, s.reporter.Leaf(l.name))
	}
	return h
}

// look brings the leaves up to date; it is called once a second.
func (h *health) look() {
	now := h.see()
	if now.follows() != "" {
		h.excused = time.Now()
	}
	now.excused = time.Since(h.excused) < filePatience+settling
	for i, l := range tree {
		h.leaves[i].Found(l.look(&now))
	}
}

func (h *health) see() scene {
	s := h.s
	v := scene{
		role: s.box.Role, up: time.Since(h.started),
		capture: s.peers.Get("capture"), record: s.peers.Get("record"), stream: s.streamDetail(),
		temperature: h.board.Temperature(h.found("temperature").State), voltage: h.board.Voltage(),
		files: h.files.look(time.Now()),
	}
	v.disk = h.space(v.record)
	if s.disks != nil {
		v.lostDisk, v.twinDisk = s.disks.Lost(), disk.Twin(s.disks.Disks())
	}
	v.clock = judgeClock(v.stream)
	if s.life != nil {
		if t := s.life.time.Status(); t != nil {
			v.clock = t.Finding()
		}
	}
	v.network = h.network()
	v.update = s.updateFinding()
	return v
}

// found is a leaf as it is now.
func (h *health) found(name string) metrics.Leaf {
	for _, l := range h.leaves {
		if leaf := l.Snapshot(); leaf.Name == name {
			return leaf
		}
	}
	return metrics.Leaf{}
}

// network has no say where nobody needs a cable: in a chain on one host.
func (h *health) network() metrics.Finding {
	if addr := h.s.box.Box.StreamAddr; addr == h.s.box.StreamAddr() {
		return metrics.Finding{State: metrics.NotApplicable, Cause: "not applicable: this box's address is " + h.s.box.Box.Address + ", which needs no network"}
	}
	return h.board.Network()
}

// keepFree is what record keeps free when it can't be asked: its flag's default.
const keepFree = 512 << 20

// space looks at the disk itself; record only says how much it leaves free.
func (h *health) space(record peers.Peer) metrics.Finding {
	r := board.Recording{Keep: keepFree, Rate: float64(h.s.box.Event.Video.Bitrate) / 8}
	if keep := number(record, "keep_free_bytes"); keep > 0 {
		r.Keep = uint64(keep)
	}
	r.Rate = max(r.Rate, number(record, "bits_per_second")/8)
	space, err := board.SpaceOf(h.files.dirIn(record))
	if free := number(record, "releasable_bytes"); free > 0 && err == nil { // record deletes what it may when it needs room
		space.Free = min(space.Free+uint64(free), space.Total)
	}
	return board.Disk(space, err, r)
}

func judgeClock(d streamDetail) metrics.Finding {
	switch {
	case !d.flows() || !d.Stamped:
		return metrics.Finding{State: metrics.Unknown, Cause: "unknown: no frame tells"}
	case !d.Synced:
		return metrics.Finding{State: metrics.Degraded, Cause: "not in sync: no time server has answered"}
	}
	return metrics.Finding{State: metrics.OK}
}
