//go:build vm

package vm_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// keptRun is a recorded run as it is kept in a file.
type keptRun struct {
	Card, Log string
	Sizes     []keptMoment
	Frames    []keptMoment
	Stream    []byte
	End       int
	GoOn      uint64
}

// keptMoment is a logSize or a seenFrame.
type keptMoment struct {
	At    time.Time
	Value uint64
}

// recordOnce keeps the run in $VIDEOBOX_RUN/TEST and takes it from there when it
// is there already: who looks for a fault wants to replay the same run again.
func recordOnce(t *testing.T, record func(dir string) *recorded) *recorded {
	t.Helper()
	kept := os.Getenv("VIDEOBOX_RUN")
	if kept == "" {
		return record(t.TempDir())
	}
	dir := filepath.Join(kept, t.Name())
	file := filepath.Join(dir, "run.json")
	if data, err := os.ReadFile(file); err == nil {
		var k keptRun
		if err := json.Unmarshal(data, &k); err != nil {
			t.Fatal(err)
		}
		return k.run()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := record(dir)
	data, err := json.Marshal(r.kept())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *recorded) kept() keptRun {
	k := keptRun{Card: r.card, Log: r.log, Stream: r.stream, End: r.end, GoOn: r.goOn}
	for _, s := range r.sizes {
		k.Sizes = append(k.Sizes, keptMoment{s.at, uint64(s.bytes)})
	}
	for _, f := range r.frames {
		k.Frames = append(k.Frames, keptMoment{f.at, f.frame})
	}
	return k
}

func (k keptRun) run() *recorded {
	r := &recorded{card: k.Card, log: k.Log, stream: k.Stream, end: k.End, goOn: k.GoOn}
	for _, m := range k.Sizes {
		r.sizes = append(r.sizes, logSize{m.At, int64(m.Value)})
	}
	for _, m := range k.Frames {
		r.frames = append(r.frames, seenFrame{m.At, m.Value})
	}
	return r
}
