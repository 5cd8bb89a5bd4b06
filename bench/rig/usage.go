package rig

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process has taken so far.
type Usage struct {
	CPU      time.Duration // user and system
	Resident int64         // bytes of memory, of now
	Peak     int64         // the most that it ever was
}

// String writes the usage for a report.
func (u Usage) String() string {
	return fmt.Sprintf("CPU %.1f s, memory %s (peak %s)", u.CPU.Seconds(), MB(u.Resident), MB(u.Peak))
}

// clockTick is the unit of times in /proc/PID/stat: USER_HZ, 100 on all of Linux.
const clockTick = time.Second / 100

// UsageOf reads what a running process has taken; zero where the system does not
// tell.
func UsageOf(pid int) (u Usage) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u
	}
	u.Resident, u.Peak = kib(status, "VmRSS:"), kib(status, "VmHWM:")
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u
	}
	// The name, in parentheses, may hold anything; user and system time are the
	// 12th and 13th field after it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) > 12 {
		for _, f := range fields[11:13] {
			ticks, _ := strconv.ParseInt(f, 10, 64)
			u.CPU += time.Duration(ticks) * clockTick
		}
	}
	return u
}

func kib(status []byte, field string) int64 {
	_, after, _ := strings.Cut(string(status), field)
	var n int64
	fmt.Sscan(after, &n)
	return n << 10
}
