package timesync

import (
	"fmt"

	"github.com/openvideobox/videobox/internal/metrics"
)

// Finding is the leaf "clock". Time that is lost is red at once, although a clock
// runs on well for hours: by then nobody is there to look.
func (s *Status) Finding() metrics.Finding {
	f := metrics.Finding{State: metrics.OK, Cause: s.Cause}
	if s.Set {
		f.Value = fmt.Sprintf("%+.1f ms, ±%.1f ms, by %s", float64(s.Offset)/1e6, float64(s.EstError)/1e6, s.Chosen)
	}
	switch {
	case !s.Set:
		f.State, f.Cause = metrics.Failed, "not in sync: "+s.Cause
	case s.Lost || !s.Synced:
		f.State = metrics.Failed
	}
	return f
}
