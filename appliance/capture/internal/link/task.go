package link

import (
	"time"

	"github.com/openvideobox/videobox/appliance/capture/internal/resample"
	"github.com/openvideobox/videobox/internal/level"
	"github.com/openvideobox/videobox/internal/program"
)

// Work is the task that the parent gives its worker. The same task again tells
// another Room or Address.
type Work struct {
	Program program.Config `json:"program"`
	Source  string         `json:"source"` // as given to --source
	Name    string         `json:"name"`   // of the box
	Room    string         `json:"room"`   // "" when the box has none
	Address string         `json:"address"`
	// SoundOffset is by how much the sound is put later, in ns; nil: by as much as
	// the capture device needs.
	SoundOffset *time.Duration `json:"sound_offset,omitempty"`
}

// Report is what the worker says about its input and its work, twice a second
// and whenever the state changes. Counters run from the worker's start.
type Report struct {
	State    string  `json:"state"`            // of drivers.State
	Cause    string  `json:"cause,omitempty"`  // plain words
	Device   string  `json:"device,omitempty"` // what is read from
	Width    int     `json:"width"`            // of the newest frame that came in
	Height   int     `json:"height"`
	FPS      float64 `json:"fps"`       // frames a second that came in lately
	FramesIn uint64  `json:"frames"`    // that came in
	Dropped  uint64  `json:"dropped"`   // of them too early for the grid
	Repeated uint64  `json:"repeated"`  // grid frames for which none had come
	Skipped  uint64  `json:"skipped"`   // grid frames left out: overload
	Slates   uint64  `json:"slates"`    // grid frames that showed the slate
	EncodeMS float64 `json:"encode_ms"` // a frame, mean since the last report

	ScaleMS     float64 `json:"scale_ms"`      // to the event's size, a frame, mean since the last report
	ConvertMS   float64 `json:"convert_ms"`    // to BT.709 limited, likewise
	EncodeMaxMS float64 `json:"encode_max_ms"` // longest since the last report
	Queue       int64   `json:"queue"`         // frames that the encoder was behind the grid, most since the last report

	Mode     string              `json:"mode,omitempty"`    // that the capture device was opened in
	Counts   map[string]uint64   `json:"counts,omitempty"`  // of its driver: damaged, lost, reset …
	Warning  string              `json:"warning,omitempty"` // what isn't as it should be with it
	Restarts uint64              `json:"source_restarts"`
	Picture  level.PictureValues `json:"picture"`

	SoundState    string         `json:"sound_state,omitempty"` // of drivers.State, as far as the source tells
	SoundCause    string         `json:"sound_cause,omitempty"` // plain words
	SamplesIn     uint64         `json:"samples"`
	Inserted      int64          `json:"samples_inserted"` // silence where none came or some were lost
	Cut           int64          `json:"samples_dropped"`  // that came twice
	Muted         bool           `json:"muted"`            // the slate is on
	Sound         resample.Stats `json:"sound"`
	SoundOffsetMS float64        `json:"sound_offset_ms"` // by which it is put later, as configured or as the device needs it
	Levels        level.Values   `json:"levels"`          // of the sound that is sent
}
