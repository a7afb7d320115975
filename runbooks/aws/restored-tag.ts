/** Tag that says under which name a database was restored, also when it bears another one by now. */
export const restoredTag = 'holdfast:restored';
