/** Tag that says under which name a database was restored, also when it bears another one by now. */
export const restoredTag = 'holdfast:restored';

/** Tag of a database that is made empty and loaded from a dump, with the dump's name: it is ready when it holds it. */
export const dumpTag = 'holdfast:dump';
