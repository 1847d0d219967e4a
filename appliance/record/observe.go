package main

import (
	"encoding/json"
	"math"

	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/internal/level"
	"github.com/openvideobox/videobox/internal/recording"
)

// measured is the part of capture's status that the index tells, too.
type measured struct {
	Live  bool `json:"live"`
	Input *struct {
		Levels  level.Values        `json:"levels"`
		Picture level.PictureValues `json:"picture"`
	} `json:"input"`
}

// observe hands on what capture has measured. Only what encodes decodes, so
// record asks it; while it doesn't answer, the index says nothing of the sound.
func (r *recorder) observe() {
	p := r.capture.Get("capture")
	if o, ok := observation(p); ok {
		r.rec.Observe(o)
	}
}

func observation(p peers.Peer) (o recording.Observation, ok bool) {
	if !p.OK() {
		return o, false
	}
	raw, err := json.Marshal(p.Status.Detail)
	if err != nil {
		return o, false
	}
	var m measured
	if json.Unmarshal(raw, &m) != nil || m.Input == nil {
		return o, false
	}
	l, v := m.Input.Levels, m.Input.Picture
	return recording.Observation{
		Momentary: l.Momentary, TruePeak: math.Max(l.TruePeak[0], l.TruePeak[1]), Silent: l.Silent,
		Black: m.Live && v.Black, Frozen: m.Live && v.Frozen,
	}, true
}
