package discipline

import (
	"fmt"
	"time"
)

// Status is how the clock is. Durations are in ns in JSON.
type Status struct {
	Synced   bool          `json:"synced"`         // UTC can be used
	Lost     bool          `json:"lost"`           // no time comes, whether or not UTC can still be used
	Cause    string        `json:"cause"`          // of not being in sync, or of the loss; "" otherwise
	Since    time.Time     `json:"since,omitzero"` // in sync since
	Set      bool          `json:"set"`            // a server has answered since boot
	Steps    int           `json:"steps"`          // 0 or 1
	Stepped  time.Duration `json:"stepped_ns"`     // by how much
	Offset   time.Duration `json:"offset_ns"`      // of the servers' UTC against ours: what is being slewed
	Jitter   time.Duration `json:"jitter_ns"`
	Delay    time.Duration `json:"delay_ns"`  // lowest to the chosen server
	Speed    float64       `json:"speed_ppm"` // UTC against the crystal, the slew included
	Freq     float64       `json:"freq_ppm"`  // the crystal's part of it
	EstError time.Duration `json:"est_error_ns"`
	MaxError time.Duration `json:"max_error_ns"`
	Chosen   string        `json:"chosen"`
	Unheard  time.Duration `json:"unheard_ns"` // since a majority was heard last; -1 never
	Servers  []Server      `json:"servers"`
}

// Server is one of them.
type Server struct {
	Name    string        `json:"name"`
	Verdict Verdict       `json:"verdict"`
	Offset  time.Duration `json:"offset_ns"` // of its UTC against the line
	Delay   time.Duration `json:"delay_ns"`
	Jitter  time.Duration `json:"jitter_ns"`
	Stratum uint8         `json:"stratum"`
	Asked   int           `json:"asked"`
	Missed  int           `json:"missed"` // in a row
	Samples int           `json:"samples"`
	Error   string        `json:"error,omitempty"` // of the last question
}

// Status is how the clock is now.
func (d *Discipline) Status() Status {
	raw, utc := d.kernel.Now()
	s := Status{
		Synced: d.adjust.Synced, Set: d.set, Steps: d.steps, Stepped: d.stepped,
		Jitter: time.Duration(d.error.jitter), Delay: time.Duration(d.error.delay),
		Speed: d.adjust.Freq / 1000, Freq: d.line.freq / 1000,
		EstError: d.adjust.EstError, MaxError: d.adjust.MaxError, Unheard: -1,
	}
	if d.since != 0 {
		s.Since = time.Unix(0, d.since).UTC()
	}
	if d.good != 0 {
		s.Unheard = time.Duration(raw - d.good)
		s.Offset = time.Duration(d.line.at(raw) - utc)
	}
	for _, src := range d.sources {
		s.Servers = append(s.Servers, src.status())
		if src.verdict == Chosen {
			s.Chosen = src.name
		}
	}
	s.Lost = s.Unheard < 0 || s.Unheard > Lost
	s.Cause = d.why(s)
	return s
}

func (s *source) status() Server {
	v := Server{
		Name: s.name, Verdict: s.verdict, Offset: time.Duration(s.now.offset), Delay: time.Duration(s.now.delay),
		Jitter: time.Duration(s.now.jitter), Asked: s.asked, Missed: s.missed, Samples: len(s.samples),
	}
	if n := len(s.samples); n > 0 {
		v.Stratum = s.samples[n-1].Stratum
	}
	if s.missed > retries {
		v.Verdict = Silent
	}
	if s.err != nil {
		v.Error = s.err.Error()
	}
	return v
}

// why says in words what is wrong.
func (d *Discipline) why(s Status) string {
	switch {
	case d.err != nil:
		return d.err.Error()
	case len(d.sources) == 0:
		return "no time server is known"
	case s.Unheard < 0:
		return d.cause + d.complaint()
	case s.Lost:
		return fmt.Sprintf("time lost: for %.0f s %s%s; the clock runs on, off by about %.1f ms", s.Unheard.Seconds(), d.silence(), d.complaint(), float64(s.EstError)/1e6)
	case !s.Synced:
		return fmt.Sprintf("off by %.0f ms, being slewed", float64(s.Offset)/1e6)
	}
	return ""
}

// silence tells servers that are silent from servers that disagree.
func (d *Discipline) silence() string {
	raw, _ := d.kernel.Now()
	for _, s := range d.sources {
		if s.answer != 0 && raw-s.answer <= int64(Lost) {
			return "the time servers disagree"
		}
	}
	return "no time server has answered"
}

// complaint is what the first server that failed said.
func (d *Discipline) complaint() string {
	for _, s := range d.sources {
		if s.err != nil {
			return fmt.Sprintf(" (%s: %v)", s.name, s.err)
		}
	}
	return ""
}
