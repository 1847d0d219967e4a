//go:build !linux || !(amd64 || arm64)

package discipline

import "errors"

// System is an error: boxes run 64-bit Linux, and no other clock is kept.
func System() (Kernel, error) {
	return nil, errors.New("this system's clock can't be kept: boxes run 64-bit Linux")
}
