// Package drivertest has fake hardware for tests, at the seams below which the
// drivers know the kernel: what runs above them is the drivers' own code.
package drivertest
