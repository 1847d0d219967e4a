package recording

import (
	"testing"
	"time"
)

// What recording costs a gigabyte, with checksum, on the disk of b.TempDir.
func BenchmarkRecord(b *testing.B) {
	s := newStreamer()
	s.size = 20000 // 4 Mbit/s
	r, err := New(Config{Dir: b.TempDir(), Name: "box1", Log: quiet(), Queue: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	var chunks [][]byte
	for range 200 {
		chunks = append(chunks, s.seconds(1))
	}
	b.SetBytes(int64(len(chunks[0])))
	n := 0
	for b.Loop() {
		if _, err := r.Write(chunks[n%len(chunks)]); err != nil {
			b.Fatal(err)
		}
		for n++; r.Status().QueuedBytes > 32<<20; {
			time.Sleep(time.Millisecond) // the disk sets the pace
		}
	}
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
}
