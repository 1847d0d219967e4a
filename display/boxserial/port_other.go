//go:build !linux

package boxserial

import "errors"

func openPort(string) (port, error) {
	return nil, errors.New("serial ports are opened on Linux only")
}
