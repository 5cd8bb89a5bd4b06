package trace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// SharedEnv names the folder that holds traces/, which is too large for the
// repository. Unset, it is the folder "shared" beside the module's.
const SharedEnv = "SYNCLINE_SHARED"

// Names of traces.
const (
	Paper       = "automerge-paper" // sequential: 259,778 edits of one character
	Clownschool = "clownschool"     // concurrent: 23,136 edits of three agents
)

// Path returns where the trace of a name is, or what is missing and what to do.
func Path(name string) (string, error) {
	dir, err := shared()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "traces", name+".json.gz")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the editing trace %s is not there: %w; set %s to a folder with traces/%s.json.gz", name, err, SharedEnv, name)
	}
	return path, nil
}

func shared() (string, error) {
	if dir := os.Getenv(SharedEnv); dir != "" {
		return dir, nil
	}
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return filepath.Join(filepath.Dir(at), "shared"), nil
		}
		up := filepath.Dir(at)
		if up == at {
			return "", errors.New("find the module's folder: run this inside it, or set " + SharedEnv)
		}
		at = up
	}
}
