package source

import (
	"errors"

	"github.com/openvideobox/videobox/drivers"
	"github.com/openvideobox/videobox/internal/program"
)

func device(spec string, c program.Config) (drivers.Source, error) {
	return nil, errors.New("v4l2")
}
