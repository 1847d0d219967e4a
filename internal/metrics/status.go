// Package metrics is how every program tells what it does: one Reporter serves
// /api/status (JSON of one shape everywhere), /metrics (Prometheus text format)
// and /healthz (200, or 503 with the first cause).
//
// What flows through a program is a hop. A hop that has carried nothing for two
// seconds says so by itself, so that a program which has stopped working never
// reports ok.
package metrics

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// State is how something is.
type State string

// The states, from good to bad.
const (
	OK       State = "ok"
	Starting State = "starting"
	Degraded State = "degraded" // works, with less than it should have
	Failed   State = "failed"

	// Unknown is a leaf's: what would tell doesn't. A program with one is
	// degraded.
	Unknown State = "unknown"
	// NotApplicable is a leaf's: there is nothing here that could be well or not.
	NotApplicable State = "not applicable"
)

// rank orders states; an unknown one is bad.
func (s State) rank() int {
	switch s {
	case OK, NotApplicable:
		return 0
	case Starting:
		return 1
	case Unknown:
		return 2
	case Degraded:
		return 3
	}
	return 4
}

// Worse says whether s is worse than t.
func (s State) Worse(t State) bool { return s.rank() > t.rank() }

// Status is what /api/status holds.
type Status struct {
	Program string    `json:"program"`
	Name    string    `json:"name"`
	Role    string    `json:"role,omitempty"`
	Room    string    `json:"room,omitempty"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Now     time.Time `json:"now"`
	State   State     `json:"state"` // the worst of the program's own, its hops and its health
	Cause   string    `json:"cause,omitempty"`
	Hops    []Hop     `json:"hops"`
	Health  []Leaf    `json:"health"`
	Process Process   `json:"process"`
	Detail  any       `json:"detail,omitempty"`
}

// Hop is one place where data enters or leaves a program.
type Hop struct {
	Name             string  `json:"name"`
	Direction        string  `json:"direction"` // in, out
	Kind             string  `json:"kind"`      // tcp, udp, rtmp, hls, file, pipe, device
	Address          string  `json:"address,omitempty"`
	State            State   `json:"state"`
	Cause            string  `json:"cause,omitempty"`
	Bytes            uint64  `json:"bytes"`
	BitsPerSecond    float64 `json:"bits_per_second"` // over the last 3 s
	Frames           uint64  `json:"frames"`
	FramesPerSecond  float64 `json:"frames_per_second"` // over the last 3 s
	Dropped          uint64  `json:"dropped"`
	ContinuityErrors uint64  `json:"continuity_errors"`
	Readers          int     `json:"readers"`
	LatencyMS        float64 `json:"latency_ms"` // of the newest frame when it passed, since its capture; -1 unknown
	AgeMS            float64 `json:"age_ms"`     // since data last passed; -1 never
}

// Leaf is one thing that can be well or not: a disk, a clock, a child.
type Leaf struct {
	Name   string    `json:"name"`
	State  State     `json:"state"`
	Cause  string    `json:"cause,omitempty"`
	Value  string    `json:"value,omitempty"` // what was found, in words, good or bad
	Since  time.Time `json:"since"`           // when the state became what it is
	Looked time.Time `json:"looked"`          // when the program last found out
}

// Process is what the program uses.
type Process struct {
	PID           int     `json:"pid"`
	CPUSeconds    float64 `json:"cpu_seconds"`
	ResidentBytes uint64  `json:"resident_bytes"`
	// Of the children too, and theirs, when the program reports them.
	Children              int     `json:"children"`
	ChildrenCPUSeconds    float64 `json:"children_cpu_seconds"`
	ChildrenResidentBytes uint64  `json:"children_resident_bytes"`
}

// Hop finds a hop by its name.
func (s Status) Hop(name string) (Hop, bool) {
	for _, h := range s.Hops {
		if h.Name == name {
			return h, true
		}
	}
	return Hop{}, false
}

// Cores is how many cores the program and its reported children used since an
// earlier status of it; 0 when it was started again in between.
func (s Status) Cores(earlier Status) float64 {
	span := s.Now.Sub(earlier.Now).Seconds()
	used := s.Process.CPUSeconds + s.Process.ChildrenCPUSeconds -
		earlier.Process.CPUSeconds - earlier.Process.ChildrenCPUSeconds
	if span <= 0 || used < 0 || s.Process.PID != earlier.Process.PID {
		return 0
	}
	return used / span
}

// maxStatus bounds what Fetch reads; a program with 40 hops needs 20 KiB.
const maxStatus = 4 << 20

// Fetch reads a program's status. The URL may leave out /api/status. Detail
// comes back as encoding/json decodes it.
func Fetch(ctx context.Context, client *http.Client, rawURL string) (Status, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/api/status"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Status{}, fmt.Errorf("status of %s: %s instead of 200 OK", u, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus+1))
	if err != nil {
		return Status{}, fmt.Errorf("status of %s: %w", u, err)
	}
	if len(data) > maxStatus {
		return Status{}, fmt.Errorf("status of %s: more than %d bytes", u, maxStatus)
	}
	var s Status
	if err := json.Unmarshal(data, &s); err != nil {
		return Status{}, fmt.Errorf("status of %s: %w", u, err)
	}
	return s, nil
}
