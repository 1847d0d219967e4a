//go:build !cgo || !linux

package v4l2

import (
	"context"
	"errors"
	"time"

	"github.com/openvideobox/videobox/drivers"
)

// Go4vl can't read anything in this build.
var Go4vl Kernel = none4vl{}

type none4vl struct{}

var errBuild = failure(drivers.Unsupported, errors.New("this build can't read capture devices; build it on Linux with CGO_ENABLED=1"))

func (none4vl) Nodes() ([]string, error) { return nil, errBuild }

func (none4vl) Modes(string) (string, []Mode, error) { return "", nil, errBuild }

func (none4vl) Open(context.Context, string, Mode) (Stream, error) { return nil, errBuild }

func (none4vl) Input(string) (Input, error) { return nil, errBuild }

func Now() (utc, monotonic int64) { t := time.Now().UnixNano(); return t, t }
