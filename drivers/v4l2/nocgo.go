//go:build !cgo || !linux

package v4l2

import (
	"context"
	"errors"
	"time"

	"github.com/openvideobox/videobox/drivers"
)

func openDevice(context.Context, Config) (device, error) {
	return nil, &drivers.Error{State: drivers.Unsupported, Err: errors.New("this build can't read capture devices; build it on Linux with CGO_ENABLED=1")}
}

func now() (utc, monotonic int64) { t := time.Now().UnixNano(); return t, t }
