package tee

import (
	"context"
	"sync"
	"testing"
)

// BenchmarkWrite is what the writer pays for a frame at 8 Mbit/s, alone and
// with readers in goroutines.
func BenchmarkWrite(b *testing.B) {
	for name, readers := range map[string]int{"alone": 0, "500 readers": 500} {
		b.Run(name, func(b *testing.B) {
			var m maker
			r := NewRing(16 << 20)
			write(b, r, m.gop(1))
			var wg sync.WaitGroup
			for range readers {
				rd := r.NewReader(Newest)
				wg.Go(func() {
					defer rd.Close()
					for {
						if _, err := rd.Next(context.Background()); err != nil {
							return
						}
					}
				})
			}
			frame := m.frame(false, 212)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				write(b, r, frame)
			}
			r.Close()
			wg.Wait()
		})
	}
}
