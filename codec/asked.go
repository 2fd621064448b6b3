package codec

// Asked is what every request but message carries beside what it asks for: its taskId, and the user that
// its body names, who must be the one the connection is bound to.
type Asked interface {
	Task() TaskID
	Claim() OptID
}

// Task and Claim make each request Asked.

func (r *Bind) Task() TaskID            { return r.TaskID }
func (r *Bind) Claim() OptID            { return r.UserID }
func (r *GroupRequest) Task() TaskID    { return r.TaskID }
func (r *GroupRequest) Claim() OptID    { return r.UserID }
func (r *StatusRequest) Task() TaskID   { return r.TaskID }
func (r *StatusRequest) Claim() OptID   { return r.UserID }
func (r *InfoRequest) Task() TaskID     { return r.TaskID }
func (r *InfoRequest) Claim() OptID     { return r.UserID }
func (r *OfflineRequest) Task() TaskID  { return r.TaskID }
func (r *OfflineRequest) Claim() OptID  { return r.UserID }
func (r *HistoryRequest) Task() TaskID  { return r.TaskID }
func (r *HistoryRequest) Claim() OptID  { return r.UserID }
func (r *SessionsRequest) Task() TaskID { return r.TaskID }
func (r *SessionsRequest) Claim() OptID { return r.UserID }
